#!/usr/bin/env node
import { Command } from 'commander';
import { execCommand } from './exec.ts';
import { EXIT_CODES } from './output.ts';
import { runCommand, watchCommand } from './run.ts';
import { historyCommand, showCommand, statusCommand } from './status.ts';

/** The operator's command line: a file for each group of subcommands. */
const program = new Command('wa-upkeep').description('Looks after what runs on Amazon ECS.');
for (const command of [
  statusCommand(),
  runCommand(),
  watchCommand(),
  historyCommand(),
  showCommand(),
  execCommand(),
])
  program.addCommand(command);
for (const command of [program, ...program.commands])
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? EXIT_CODES.good : EXIT_CODES.usage));
await program.parseAsync();
