#!/usr/bin/env node
import { Command } from 'commander';
import { operatorCommands } from './commands.ts';
import { EXIT_CODES } from './output.ts';

/** The operator's command line. */
const program = new Command('wa-upkeep').description('Looks after what runs on Amazon ECS.');
for (const command of operatorCommands()) program.addCommand(command);
program.command(
  'migrate-to-alternating-users',
  'give the one user that an application has in its database a second one to alternate with',
  { executableFile: 'migrate-to-alternating-users' },
);
program.command('rehearse', 'play the stacks of a CDK app on this machine', {
  executableFile: '../rehearsal/rehearse',
});
for (const command of [program, ...program.commands])
  command.exitOverride(({ exitCode, code }) => {
    // A command that is a program of its own has ended: its exit code is no complaint of the parser.
    const isParsers = code !== 'commander.executeSubCommandAsync' && exitCode !== 0;
    process.exit(isParsers ? EXIT_CODES.usage : exitCode);
  });
await program.parseAsync();
