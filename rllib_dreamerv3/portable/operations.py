"""What a SavedModel may compute: TensorFlow's operations also read and write files.

A model is a program for TensorFlow. One of somebody else's is only run if it has no other
operations than exported policies have.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Arithmetic, arrays, layers, control flow, and reading variables.
_NAMES = (
    "Abs Acos Add AddN AddV2 All Any ArgMax ArgMin Asin Atan Atan2 AvgPool BatchMatMul "
    "BatchMatMulV2 BatchMatMulV3 BiasAdd Bincount BitwiseAnd BitwiseOr BitwiseXor "
    "BroadcastArgs BroadcastTo Bucketize Cast Ceil ClipByValue Concat ConcatV2 Const Conv2D "
    "Conv2DBackpropInput Cos Cosh Cumprod Cumsum CumulativeLogsumexp DepthToSpace "
    "DepthwiseConv2dNative Div DivNoNan Einsum Elu EnsureShape Equal Erf Erfc Erfinv Exp "
    "ExpandDims Expm1 Fill Floor FloorDiv FloorMod Gather GatherNd GatherV2 Greater "
    "GreaterEqual Identity IdentityN If InvertPermutation IsFinite IsInf IsNan L2Loss "
    "LeakyRelu LeftShift Less LessEqual LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot "
    "LogicalOr LogicalXor MatMul MatrixBandPart MatrixDiagV3 Max MaxPool Maximum Mean Min "
    "Minimum MirrorPad Mod Mul MulNoNan Ndtri Neg NextAfter NoOp NotEqual OneHot OnesLike "
    "Pack Pad PadV2 PartitionedCall Pow PreventGradient Prod Range Rank ReadVariableOp "
    "RealDiv Reciprocal Relu Relu6 Reshape ResizeBilinear ResizeNearestNeighbor "
    "ResourceGather ReverseSequence ReverseV2 RightShift Rint Roll Round Rsqrt ScatterNd "
    "SegmentSum Select SelectV2 Selu Shape ShapeN Sigmoid Sign Sin Sinh Size Slice Softmax "
    "Softplus Softsign SpaceToDepth Split SplitV Sqrt Square SquaredDifference Squeeze "
    "StatefulPartitionedCall StatelessIf StatelessWhile StopGradient StridedSlice Sub Sum Tan "
    "Tanh TensorScatterAdd TensorScatterUpdate Tile TopKV2 Transpose TruncateDiv TruncateMod "
    "UnsortedSegmentSum Unpack Where While Xdivy Xlogy ZerosLike "
)
ALLOWED = frozenset(_NAMES.split())
# In functions that TensorFlow adds to every SavedModel, and which neither loading nor acting runs.
_SAVING = ALLOWED | {
    *("AssignVariableOp", "DisableCopyOnRead", "MergeV2Checkpoints", "RestoreV2", "SaveV2"),
    *("ShardedFilename", "StaticRegexFullMatch", "StringJoin"),
}
_FILE = "saved_model.pb"


def check_operations(folder: Path, saved_model: Any) -> None:
    """Check the operations of all functions of a SavedModel.

    Args:
        folder: Of the SavedModel.
        saved_model: An empty ``SavedModel`` message of TensorFlow.

    Raises:
        ValueError: If there is an operation that no exported policy has, or this is not how
            TensorFlow 2 saves models.
    """
    # TensorFlow prefers some of the other files that it could be in.
    if [path.name for path in folder.glob("saved_model.*")] != [_FILE]:
        raise ValueError(f"{folder} is not a SavedModel with a single {_FILE}.")
    try:
        saved_model.ParseFromString((folder / _FILE).read_bytes())
    except Exception as error:  # DecodeError of protobuf, which need not be installed here.
        raise ValueError(f"{folder / _FILE} is damaged: {error}. Export the policy again.") from (
            error
        )
    graphs = saved_model.meta_graphs
    # Graphs of TensorFlow 1 run on loading, whatever is in them.
    if len(graphs) != 1 or not graphs[0].object_graph_def.concrete_functions:
        raise ValueError(f"{folder / _FILE} was not saved by TensorFlow 2 for this package.")
    functions = {each.signature.name: each for each in graphs[0].graph_def.library.function}
    run = _reached(graphs[0].object_graph_def.concrete_functions, functions)
    # Only saving is excused from the list, and only where nothing calls it.
    found = run - functions.keys() - ALLOWED
    for name in functions.keys() - run:
        found |= {node.op for node in functions[name].node_def} - functions.keys() - _SAVING
    # Some let TensorFlow run another function instead of the called one (api_implements).
    for name, function in functions.items():
        for attribute in function.attr:
            if not attribute.startswith("_"):
                raise ValueError(
                    f"{folder} is not run: its function {name!r} has the attribute "
                    f"{attribute!r}, which no exported policy has."
                )
    for name in sorted(found):
        raise ValueError(
            f"{folder} is not run: it has the operation {name!r}, which no exported policy has. It "
            "may have been made to read or write your files."
        )


def _reached(names: Iterable[str], functions: Mapping[str, Any]) -> set[str]:
    """Return functions and operations that are reached from functions."""
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in functions[name].node_def if name in functions else ():
            waiting.append(node.op)
            for attribute in node.attr.values():
                called = [attribute.func.name, *(each.name for each in attribute.list.func)]
                waiting += filter(None, called)
    return seen
