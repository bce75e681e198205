// Included by c10d's header of gloo, which uses nothing of it.
#pragma once
