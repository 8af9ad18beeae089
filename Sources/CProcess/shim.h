#pragma once
#include <spawn.h>

// Of glibc, which declares them only with _GNU_SOURCE; Swift's overlay is built without.
int pipe2(int descriptors[2], int flags);
int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path);
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
