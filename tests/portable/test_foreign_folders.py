"""Exported folders of somebody else's, run with one's own ``policy_io``."""

import functools
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from exported_folders import exported_folder
from tensorflow.core.protobuf import saved_model_pb2

from rllib_dreamerv3.portable import load
from rllib_dreamerv3.portable.described import described_as_text

WRITTEN = "written"
MISSING = object()


@pytest.fixture
def folder(tmp_path_factory, tmp_path, monkeypatch):
    """A policy to be changed; what a model writes lands in the working directory."""
    monkeypatch.chdir(tmp_path)
    whole = exported_folder(tmp_path_factory, "v1 vector, choice")
    return Path(shutil.copytree(whole, tmp_path / "theirs"))


def seal(folder, path="savedmodel"):
    """Describes the files that are there, as somebody would who wants the folder to be loaded."""
    file = folder / "policy.json"
    described = json.loads(file.read_text())
    del described["checksum"]
    described["models"] = {"savedmodel": {"path": path}}
    described["files"] = {
        each.relative_to(folder).as_posix(): {
            "size": each.stat().st_size,
            "sha256": hashlib.sha256(each.read_bytes()).hexdigest(),
        }
        for each in folder.rglob("*")
        if each.is_file() and each != file
    }
    file.write_text(described_as_text(described))


def change(folder, path, value):
    """Changes an entry of the description, and computes its checksum again."""
    file = folder / "policy.json"
    described = json.loads(file.read_text())
    del described["checksum"]
    *parents, last = path
    entry = functools.reduce(lambda entry, key: entry[key], parents, described)
    entry.pop(last) if value is MISSING else entry.__setitem__(last, value)
    file.write_text(described_as_text(described))


def replace_model(folder, module, **signatures):
    shutil.rmtree(folder / "savedmodel")
    tf.saved_model.save(module, str(folder / "savedmodel"), signatures=signatures or None)
    seal(folder)


def writes_when_called(folder):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.bool, "is_first")])
    def step(is_first):
        tf.io.write_file(WRITTEN, "x")
        return {"mode": is_first}

    replace_model(folder, tf.Module(), serving_default=step)


def writes_in_a_branch(folder):
    """In a function of a function, which conditions are."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.bool, "is_first")])
    def step(is_first):
        def write():
            tf.io.write_file(WRITTEN, "x")
            return is_first

        return {"mode": tf.cond(tf.reduce_all(is_first), write, lambda: is_first)}

    replace_model(folder, tf.Module(), serving_default=step)


def reads_when_loaded(folder):
    """A table is filled from a file when it is created."""
    Path("words").write_text("a\nb\n")
    module = tf.Module()
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    text = tf.lookup.TextFileInitializer("words", tf.string, line, tf.int64, number)
    module.table = tf.lookup.StaticHashTable(text, -1)
    replace_model(folder, module)


def of_tensorflow_1(folder):
    """Whose initial operation is run on loading."""
    shutil.rmtree(folder / "savedmodel")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [1])
        builder = tf.compat.v1.saved_model.Builder(str(folder / "savedmodel"))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signature_def_map={
                "serving_default": tf.compat.v1.saved_model.predict_signature_def(
                    {"x": x}, {"mode": x + 1}
                )
            },
            main_op=tf.raw_ops.WriteFile(filename=WRITTEN, contents="x"),
        )
        builder.save()
    seal(folder)


def edit(folder, change):
    file = folder / "savedmodel" / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(message.meta_graphs[0])
    file.write_bytes(message.SerializeToString())
    seal(folder)


def writes_in_a_function_that_nothing_calls(folder):
    """As TensorFlow may run it instead of another one that is called."""
    writes_when_called(folder)
    theirs = (folder / "savedmodel" / "saved_model.pb").read_bytes()
    evil = saved_model_pb2.SavedModel.FromString(theirs).meta_graphs[0].graph_def.library.function
    replace_model(folder, tf.Module(), serving_default=returns_its_input)
    edit(folder, lambda graph: graph.graph_def.library.function.extend(evil))


def lets_another_function_run(folder):
    def change(graph):
        for function in graph.graph_def.library.function:
            function.attr["api_implements"].s = b"step"

    replace_model(folder, tf.Module(), serving_default=returns_its_input)
    edit(folder, change)


@tf.function(input_signature=[tf.TensorSpec([None], tf.bool, "is_first")])
def returns_its_input(is_first):
    return {"mode": is_first}


def in_another_form(folder):
    (folder / "savedmodel" / "saved_model.pbtxt").write_text("")
    seal(folder)


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (writes_when_called, "'WriteFile'"),
        (writes_in_a_branch, "'WriteFile'"),
        (writes_in_a_function_that_nothing_calls, "'WriteFile'"),
        (lets_another_function_run, "attribute 'api_implements'"),
        (reads_when_loaded, "Table"),
        (of_tensorflow_1, "not saved by TensorFlow 2"),
        (in_another_form, r"not a SavedModel with a single saved_model\.pb"),
    ],
)
def test_what_touches_files_is_refused(folder, attack, message):
    attack(folder)
    with pytest.raises(ValueError, match=message):
        load(folder, format="savedmodel")
    assert not Path(WRITTEN).exists()


def test_damaged_graph_is_reported(folder):
    (folder / "savedmodel" / "saved_model.pb").write_bytes(b"\xff" * 100)
    seal(folder)
    with pytest.raises(ValueError, match=r"saved_model\.pb is damaged"):
        load(folder)


def test_the_policies_that_are_exported_are_run(folder):
    seal(folder)
    load(folder, format="savedmodel")


@pytest.mark.parametrize("path", ["../outside", "savedmodel/../../outside", "/", ""])
def test_paths_that_leave_the_folder_are_refused(folder, path):
    shutil.copytree(folder / "savedmodel", folder.parent / "outside")
    seal(folder, path)
    with pytest.raises(ValueError, match=r"leads out of|is not among the files"):
        load(folder)


@pytest.mark.parametrize("linked", ["savedmodel", "savedmodel/variables"])
def test_links_that_leave_the_folder_are_refused(folder, linked):
    seal(folder)
    (folder / linked).rename(folder.parent / "outside")
    (folder / linked).symlink_to(folder.parent / "outside")
    with pytest.raises(ValueError, match="leads out of"):
        load(folder)


def test_files_without_a_checksum_are_refused(folder):
    (folder / "savedmodel" / "more").write_bytes(b"x")
    with pytest.raises(ValueError, match="more is not among the files"):
        load(folder)


def test_devices_are_refused(folder):
    variables = next((folder / "savedmodel" / "variables").glob("*.data*"))
    variables.unlink()
    variables.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="leads out of"):
        load(folder)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["models"], [], "'list' object has no"),
        (["models", "savedmodel"], None, "not subscriptable"),
        (["models", "savedmodel", "path"], "a\0b", "null"),
        (["models", "savedmodel", "path"], "x" * 400, "too long"),
        (["files"], MISSING, "it has no 'files'"),
        (["state"], None, "not subscriptable"),
        (["state", "h"], 3.7, "'float' object"),
        (["state", "index"], -1, "negative dimensions"),
        (["state", "index"], 10**30, "."),
        (["state", "h"], 10**9, r"the shape of 'h' is \(1000000000,\), but \(16,\) in the model"),
        (["mode"], None, "mode must be 'sample' or 'mode', not 'None'"),
        (["observations", 0, "input"], "x", "'obs_vector' is None, but"),
        (["observations", 0, "array", "kind"], "x", "it has no 'classes'"),
        (["observations", 0, "column", "dtype"], "x", "'x' not understood"),
        (["observations", 0, "path"], None, "not iterable"),
        (["observations", 0, "shape"], [5], "has two shapes"),
        (["actions", 0, "classes"], [10**30], "have 1000000000000000000000000000000 elements"),
        (["actions", 0, "start"], [None], "NoneType"),
        (["actions", 0, "shape"], [7], "cannot reshape"),
        (["action_space"], {"type": "Tuple", "spaces": [{}, {}]}, "it has no 'type'"),
        (["action_space"], {"type": "Tuple", "spaces": [{"type": "x"}] * 2}, "."),
    ],
)
def test_nonsense_in_the_description_is_damage(folder, path, value, message):
    change(folder, path, value)
    with pytest.raises(ValueError, match=rf"policy\.json is damaged: .*{message}.* Export the"):
        load(folder, format="savedmodel")


def test_mistakes_of_the_caller_are_no_damage(folder):
    with pytest.raises(ValueError, match=r"^mode must be 'sample' or 'mode', not 'x'"):
        load(folder, mode="x")
    with pytest.raises(ValueError, match=r"^expected non-negative"):
        load(folder, seed=-1)
    with pytest.raises(ValueError, match=r"has no model 'x'"):
        load(folder, format="x")


def test_models_without_a_step_are_refused(folder):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.bool, "is_first")])
    def step(is_first):
        return {"mode": is_first}

    replace_model(folder, tf.Module(), another=step)
    with pytest.raises(ValueError, match="has no signature 'serving_default'"):
        load(folder)
