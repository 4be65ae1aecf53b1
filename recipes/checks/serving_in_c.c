/* Runs a signature of an exported folder: no Python, no Keras, TensorFlow's C
 * API alone.
 *
 *     serving_in_c FOLDER OUTPUT INPUT=TYPE:VALUE ...
 *
 * Tensors are called as in the folder's graph. A type is s (text), b (the
 * contents of a file), i (int32) or f (float32); each input is of one row.
 * Prints the output's values, int32, one a line.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

static TF_Status *status;

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static void check(const char *what) {
  if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

/* A tensor's operation and output, of a name such as "call:1". */
static TF_Output found(TF_Graph *graph, const char *name) {
  char operation[512];
  const char *colon = strrchr(name, ':');
  if (!colon || colon - name >= (long)sizeof operation) fail(name, "no name");
  memcpy(operation, name, colon - name);
  operation[colon - name] = '\0';
  TF_Output output = {TF_GraphOperationByName(graph, operation),
                      atoi(colon + 1)};
  if (!output.oper) fail(name, "not in the graph");
  return output;
}

static TF_Tensor *text(const char *bytes, size_t size) {
  int64_t rows = 1;
  TF_Tensor *tensor =
      TF_AllocateTensor(TF_STRING, &rows, 1, sizeof(TF_TString));
  TF_TString *row = TF_TensorData(tensor);
  TF_StringInit(row);
  TF_StringCopy(row, bytes, size);
  return tensor;
}

static TF_Tensor *contents(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path, "cannot be opened");
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  char *bytes = malloc(size);
  if (!bytes || fread(bytes, 1, size, file) != (size_t)size)
    fail(path, "cannot be read");
  fclose(file);
  TF_Tensor *tensor = text(bytes, size);
  free(bytes);
  return tensor;
}

static TF_Tensor *number(TF_DataType type, const char *value) {
  int64_t rows = 1;
  TF_Tensor *tensor = TF_AllocateTensor(type, &rows, 1, 4);
  if (type == TF_INT32)
    *(int *)TF_TensorData(tensor) = atoi(value);
  else
    *(float *)TF_TensorData(tensor) = strtof(value, NULL);
  return tensor;
}

int main(int count, char **words) {
  if (count < 4) fail("usage", "FOLDER OUTPUT INPUT=TYPE:VALUE ...");
  status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session = TF_LoadSessionFromSavedModel(
      options, NULL, words[1], tags, 1, graph, NULL, status);
  check(words[1]);

  TF_Output output = found(graph, words[2]);
  int given = count - 3;
  TF_Output *inputs = calloc(given, sizeof *inputs);
  TF_Tensor **values = calloc(given, sizeof *values);
  for (int i = 0; i < given; i++) {
    char *value = strchr(words[i + 3], '=');
    if (!value || !value[1] || value[2] != ':') fail(words[i + 3], "no input");
    *value = '\0';
    char type = value[1];
    value += 3;
    inputs[i] = found(graph, words[i + 3]);
    if (type == 's')
      values[i] = text(value, strlen(value));
    else if (type == 'b')
      values[i] = contents(value);
    else
      values[i] = number(type == 'i' ? TF_INT32 : TF_FLOAT, value);
  }

  TF_Tensor *result = NULL;
  TF_SessionRun(session, NULL, inputs, values, given, &output, &result, 1,
                NULL, 0, NULL, status);
  check("the request");
  if (TF_TensorType(result) != TF_INT32) fail(words[2], "is not int32");
  const int *codes = TF_TensorData(result);
  for (int64_t i = 0; i < TF_TensorElementCount(result); i++)
    printf("%d\n", codes[i]);
  return 0;
}
