#include <torch/types.h>
extern "C" int hexapla_shim_version() { return 1; }
