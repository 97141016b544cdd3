// judge FOLDER: would the device of FOLDER install what it got? The folder holds device.json and package.json (what the
// device was provisioned with), and what came: order.jws, manifest.json, manifest.jws, log.proof, perhaps status.jws and
// next-package.json. The state is kept in FOLDER/state between runs.
//
//   cc judge.c $(pkg-config --cflags --libs fleetseal-trust) -o judge         (or with c++, or CMakeLists.txt)
#include <fleetseal/trust.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// A file's bytes; data is NULL if it is not there. One byte more than any document may have is refused by the library.
static fleetseal_trust_bytes Load(const char *folder, const char *name) {
  static const size_t kBytesMax = FLEETSEAL_TRUST_STATE_BYTES_MAX + 1;
  fleetseal_trust_bytes bytes = {NULL, 0};
  char path[4096];
  if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return bytes;
  FILE *file = fopen(path, "rb");
  if (file == NULL) return bytes;
  void *data = malloc(kBytesMax);
  if (data == NULL) fprintf(stderr, "no memory\n"), exit(1);  // never taken for a document that did not come
  bytes.size = fread(data, 1, kBytesMax, file);
  bytes.data = realloc(data, bytes.size + 1);
  fclose(file);
  return bytes;
}

static int Fail(const char *what, fleetseal_trust_code code, const fleetseal_trust_detail *detail) {
  printf("%s: %s: %s (%s)\n", what, fleetseal_trust_code_name(code), fleetseal_trust_code_title(code), detail->text);
  return code > 0 ? 3 : 1;
}

// Written beside and renamed, so that the old state or the new one is there. A device syncs both file and folder.
static int Save(const char *folder, const fleetseal_trust_state *state) {
  char path[4096], next[4096];
  size_t size = 0;
  snprintf(path, sizeof path, "%s/state", folder);
  snprintf(next, sizeof next, "%s/state.next", folder);
  fleetseal_trust_state_serialize(state, NULL, 0, &size);
  char *text = (char *)malloc(size);
  FILE *file = fopen(next, "wb");
  int is_good = text != NULL && file != NULL && fleetseal_trust_state_serialize(state, text, size, &size) == 0 &&
                fwrite(text, 1, size, file) == size;
  if (file != NULL && fclose(file) != 0) is_good = 0;
  free(text);
  return is_good && rename(next, path) == 0;
}

int main(int argc, char **argv) {
  if (argc != 2) return fprintf(stderr, "usage: judge FOLDER\n"), 2;
  const char *folder = argv[1];
  fleetseal_trust_detail why;
  fleetseal_trust_device *device = NULL;
  fleetseal_trust_state *state = NULL;
  fleetseal_trust_code code = fleetseal_trust_device_parse(Load(folder, "device.json"), &device, &why);
  if (code != FLEETSEAL_TRUST_OK) return Fail("device", code, &why);
  // What the device knows: from the last run, or from its first package.
  const fleetseal_trust_bytes stored = Load(folder, "state");
  code = stored.data != NULL ? fleetseal_trust_state_parse(stored, &state, &why)
                             : fleetseal_trust_provision(device, Load(folder, "package.json"), &state, &why);
  if (code != FLEETSEAL_TRUST_OK) return Fail("state", code, &why);

  const fleetseal_trust_bytes package = Load(folder, "next-package.json");
  const fleetseal_trust_documents documents = {&package,
                                               package.data != NULL ? 1u : 0u,
                                               Load(folder, "status.jws"),
                                               Load(folder, "order.jws"),
                                               Load(folder, "manifest.json"),
                                               Load(folder, "manifest.jws"),
                                               Load(folder, "log.proof"),
                                               NULL,
                                               0};
  const fleetseal_trust_time now = {(int64_t)time(NULL), 0, 0, {NULL, 0}};
  fleetseal_trust_outcome outcome;
  code = fleetseal_trust_offer(state, device, &documents, &now, &outcome, &why);
  if (code < 0) return Fail("call", code, &why);
  // What was accepted stays, whatever was refused after it.
  if (!Save(folder, outcome.state)) return fprintf(stderr, "the state cannot be stored\n"), 1;
  static const char *const kNames[] = {"", "package", "status", "order"};
  int exit_code = code == FLEETSEAL_TRUST_OK ? 0 : Fail(kNames[outcome.refused], code, &why);
  const fleetseal_trust_manifest *manifest = fleetseal_trust_order_manifest(outcome.order);
  fleetseal_trust_manifest_info info;
  if (fleetseal_trust_manifest_describe(manifest, &info) == FLEETSEAL_TRUST_OK)
    printf("install %s %s, release counter %lld\n", info.product, info.version, (long long)info.release_counter);
  fleetseal_trust_order_free(outcome.order);
  fleetseal_trust_state_free(outcome.state);
  fleetseal_trust_state_free(state);
  fleetseal_trust_device_free(device);
  return exit_code;
}
