#!/usr/bin/env node
import { Command } from 'commander';
import { execCommand } from './exec.ts';

/** The operator's command line: a subcommand a file. */
await new Command('wa-upkeep')
  .description('Looks after what runs on Amazon ECS.')
  .addCommand(execCommand())
  .parseAsync();
