// What c10d's header of gloo needs of its transport: names, held by pointer.
#pragma once
#include <memory>
namespace gloo {
namespace transport {
class Device;
class UnboundBuffer;
} // namespace transport
} // namespace gloo
