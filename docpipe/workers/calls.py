"""The system calls that workers are refused, at all or for some arguments, by their numbers.

Sources: <asm/unistd_64.h> of x86-64; <asm-generic/unistd.h>, which aarch64 has. `-` where there is none.
"""

from typing import Final

_TABLE: Final = """
# Sockets, on this machine too: path and abstract name reach other programs.
socket 41 198
socketpair 53 199
connect 42 203
bind 49 200
listen 50 201
accept 43 202
accept4 288 242
# Other processes: their memory, descriptors, limits and priorities.
ptrace 101 117
process_vm_readv 310 270
process_vm_writev 311 271
process_madvise 440 440
process_mrelease 448 448
pidfd_getfd 438 438
kcmp 312 272
move_pages 279 239
migrate_pages 256 238
prlimit64 302 261
setpriority 141 140
ioprio_set 251 30
sched_setaffinity 203 122
sched_setscheduler 144 119
sched_setparam 142 118
sched_setattr 314 274
fcntl 72 25
ioctl 16 29
# What processes share by number: keys, memory, semaphores, queues. It outlives them, too.
add_key 248 217
request_key 249 218
keyctl 250 219
shmget 29 194
shmat 30 196
shmctl 31 195
semget 64 190
semop 65 193
semctl 66 191
semtimedop 220 192
msgget 68 186
msgsnd 69 189
msgrcv 70 188
msgctl 71 187
mq_open 240 180
mq_unlink 241 181
# Memory that no limit counts: memory files, and shared memory without a file.
memfd_create 319 279
memfd_secret 447 447
mmap 9 222
# Modes, owners, times and attributes of files, which Landlock does not cover, and watching files.
chmod 90 -
fchmod 91 52
fchmodat 268 53
fchmodat2 452 452
chown 92 -
fchown 93 55
lchown 94 -
fchownat 260 54
utime 132 -
utimes 235 -
utimensat 280 88
futimesat 261 -
setxattr 188 5
lsetxattr 189 6
fsetxattr 190 7
setxattrat 463 463
removexattr 197 14
lremovexattr 198 15
fremovexattr 199 16
removexattrat 466 466
file_setattr 469 469
inotify_init 253 -
inotify_init1 294 26
inotify_add_watch 254 27
fanotify_init 300 262
fanotify_mark 301 263
open_by_handle_at 304 265
# Links and special files, for where there is no Landlock.
link 86 -
linkat 265 37
symlink 88 -
symlinkat 266 36
mknod 133 -
mknodat 259 33
# Namespaces and mounts.
clone 56 220
clone3 435 435
unshare 272 97
setns 308 268
chroot 161 51
pivot_root 155 41
mount 165 40
umount2 166 39
open_tree 428 428
open_tree_attr 467 467
move_mount 429 429
fsopen 430 430
fsconfig 431 431
fsmount 432 432
fspick 433 433
mount_setattr 442 442
statmount 457 457
listmount 458 458
# Large or old parts of the kernel, and the machine itself.
io_uring_setup 425 425
io_uring_enter 426 426
io_uring_register 427 427
bpf 321 280
perf_event_open 298 241
userfaultfd 323 282
lookup_dcookie 212 18
init_module 175 105
finit_module 313 273
delete_module 176 106
kexec_load 246 104
kexec_file_load 320 294
reboot 169 142
swapon 167 224
swapoff 168 225
quotactl 179 60
quotactl_fd 443 443
acct 163 89
syslog 103 116
vhangup 153 58
sethostname 170 161
setdomainname 171 162
settimeofday 164 170
clock_settime 227 112
clock_adjtime 305 266
adjtimex 159 171
iopl 172 -
ioperm 173 -
modify_ldt 154 -
uselib 134 -
sysctl 156 -
nfsservctl 180 42
remap_file_pages 216 234
"""
_PROGRAMS: Final = """
fork 57 -
vfork 58 -
clone 56 220
clone3 435 435
execve 59 221
execveat 322 281
"""
"""For workers that start nothing."""
_COLUMNS: Final = {"x86_64": 1, "aarch64": 2}


def numbers(machine: str) -> dict[str, int]:
    """The refused calls of a machine by name, in the order of the table; none where it is not known."""
    return _of(_TABLE, machine)


def numbers_of_programs(machine: str) -> dict[str, int]:
    """The calls that start processes, programs and threads, likewise."""
    return _of(_PROGRAMS, machine)


def _of(table: str, machine: str) -> dict[str, int]:
    if (column := _COLUMNS.get(machine)) is None:
        return {}
    rows = [line.split() for line in table.splitlines() if line and not line.startswith("#")]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
