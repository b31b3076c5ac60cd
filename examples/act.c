/* Acts with an exported policy from C: `rllib export CHECKPOINT --out policy --format savedmodel`.

   Needs TensorFlow's C library. TensorFlow's Python wheel contains it, with the headers:

     TF=$(python -c "import tensorflow as tf; print(tf.sysconfig.get_lib())")
     cc -O2 -o act examples/act.c -I$TF/include -L$TF -Wl,-rpath,$TF \
        -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2
     ./act policy/savedmodel < steps.txt

   For an observation of one vector and a Discrete action. Each input line is one step: 1 if an
   episode starts, else 0; the observation; and as many random numbers in [0, 1) as the policy has
   latent variables, from your own generator. Each output line is the most likely action. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

enum { VECTOR, FIRST, H, INDEX, ACTION, LATENT_NOISE, ACTION_NOISE, INPUTS };
enum { MODE, NEXT_H, NEXT_INDEX, SAMPLE, OUTPUTS }; /* In alphabetical order. */

static const char *NAMES[INPUTS] = {"obs_vector", "is_first",     "h",           "index",
                                    "action",     "latent_noise", "action_noise"};

static void check(const TF_Status *status) {
  if (TF_GetCode(status) != TF_OK) {
    fprintf(stderr, "%s\n", TF_Message(status));
    exit(1);
  }
}

/* Width of an input [N, width]; 0 for [N]. */
static int64_t width(TF_Graph *graph, TF_Output input, TF_Status *status) {
  int64_t sides[2] = {0, 0};
  const int rank = TF_GraphGetTensorNumDims(graph, input, status);
  check(status);
  TF_GraphGetTensorShape(graph, input, sides, rank, status);
  check(status);
  return sides[1];
}

/* An input for one environment, all zeros. */
static TF_Tensor *zeros(TF_DataType type, int64_t columns) {
  const int64_t shape[2] = {1, columns};
  const size_t bytes = TF_DataTypeSize(type) * (columns ? columns : 1);
  TF_Tensor *tensor = TF_AllocateTensor(type, shape, columns ? 2 : 1, bytes);
  memset(TF_TensorData(tensor), 0, bytes);
  return tensor;
}

static int read_floats(float *values, int64_t count) {
  while (count > 0 && scanf("%f", values++) == 1) count--;
  return count == 0;
}

int main(int count, char **arguments) {
  if (count != 2) return fprintf(stderr, "usage: act SAVEDMODEL < steps\n"), 2;
  const char *tags[] = {"serve"};
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, arguments[1], tags, 1, graph,
                                                     NULL, status);
  check(status);
  TF_Output inputs[INPUTS], outputs[OUTPUTS];
  TF_Tensor *fed[INPUTS], *fetched[OUTPUTS];
  int64_t widths[INPUTS];
  for (int i = 0; i < INPUTS; i++) {
    char name[64];
    snprintf(name, sizeof name, "serving_default_%s", NAMES[i]);
    inputs[i] = (TF_Output){TF_GraphOperationByName(graph, name), 0};
    if (!inputs[i].oper) return fprintf(stderr, "the policy has no input %s\n", NAMES[i]), 1;
    widths[i] = width(graph, inputs[i], status);
    fed[i] = zeros(TF_OperationOutputType(inputs[i]), widths[i]);
  }
  for (int i = 0; i < OUTPUTS; i++)
    outputs[i] = (TF_Output){TF_GraphOperationByName(graph, "StatefulPartitionedCall"), i};

  int begins;
  while (scanf("%d", &begins) == 1 && read_floats(TF_TensorData(fed[VECTOR]), widths[VECTOR]) &&
         read_floats(TF_TensorData(fed[LATENT_NOISE]), widths[LATENT_NOISE])) {
    *(unsigned char *)TF_TensorData(fed[FIRST]) = begins != 0;
    TF_SessionRun(session, NULL, inputs, fed, INPUTS, outputs, fetched, OUTPUTS, NULL, 0, NULL,
                  status);
    check(status);
    /* The outputs are the state before the next step. */
    const int state[3][2] = {{H, NEXT_H}, {INDEX, NEXT_INDEX}, {ACTION, MODE}};
    for (int i = 0; i < 3; i++)
      memcpy(TF_TensorData(fed[state[i][0]]), TF_TensorData(fetched[state[i][1]]),
             TF_TensorByteSize(fed[state[i][0]]));
    for (int i = 0; i < OUTPUTS; i++) TF_DeleteTensor(fetched[i]);
    const float *action = TF_TensorData(fed[ACTION]);
    int64_t best = 0;
    for (int64_t i = 1; i < widths[ACTION]; i++)
      if (action[i] > action[best]) best = i;
    printf("%lld\n", (long long)best);
  }
  return 0;
}
