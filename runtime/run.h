/* run.h: the subcommands; each returns the exit status. argv[0] is the subcommand. */
#pragma once

int command_run(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_syscalls(int argc, char **argv);
