#!/usr/bin/env node
import { Command } from 'commander';
import { execCommand } from './exec.ts';

/** The operator's command line: a subcommand a file. */
await new Command('wa-upkeep')
  .description('Looks after what runs on Amazon ECS.')
  .addCommand(execCommand())
  .command(
    'migrate-to-alternating-users',
    'give the one user that an application has on PostgreSQL a second one to alternate with',
    { executableFile: 'migrate-to-alternating-users' },
  )
  .command('rehearse', 'play the stacks of a CDK app on this machine', {
    executableFile: '../rehearsal/rehearse',
  })
  .parseAsync();
