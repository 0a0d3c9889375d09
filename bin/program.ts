import { createRequire } from 'node:module';
import { Command, Help } from 'commander';
import { doctorCommand } from './doctor.ts';
import { execCommand } from './exec.ts';
import { initCommand } from './init.ts';
import { logsCommand } from './logs.ts';
import { EXIT_CODES, EXIT_CODES_HELP, helpText } from './output.ts';
import { runCommand, watchCommand } from './run.ts';
import { historyCommand, showCommand, statusCommand } from './status.ts';
import { testAlarmsCommand } from './test-alarms.ts';
import { upgradeCheckCommand } from './upgrade-check.ts';
import { windowCommand } from './window.ts';

/** Columns that are left beside an option's name, for its description to be broken into lines. */
const NARROWEST_DESCRIPTION = 10;

/** The operator's command line: a file for each group of subcommands. */
export function program(): Command {
  const all = new Command('wa-upkeep')
    .description('Looks after what runs on Amazon ECS.')
    .version(ownVersion(), '--version', 'of this package');
  for (const command of [
    initCommand(),
    statusCommand(),
    doctorCommand(),
    runCommand(),
    watchCommand(),
    historyCommand(),
    showCommand(),
    logsCommand(),
    upgradeCheckCommand(),
    windowCommand(),
    testAlarmsCommand(),
    execCommand(),
  ])
    all.addCommand(command);
  all.command(
    'migrate-to-alternating-users',
    'give the one user that an application has in its database a second one to alternate with',
    { executableFile: 'migrate-to-alternating-users' },
  );
  all.command('rehearse', 'play the stacks of a CDK app on this machine', {
    executableFile: '../rehearsal/rehearse',
  });
  all.addHelpText(
    'after',
    helpText(`
Examples:
  wa-upkeep init
  wa-upkeep doctor
  wa-upkeep run message-gc shop
${EXIT_CODES_HELP}`),
  );
  for (const command of [all, ...all.commands]) {
    command.configureHelp({
      minWidthToWrap: NARROWEST_DESCRIPTION,
      // That a list is empty by default is what anybody expects.
      optionDescription: (option) =>
        Array.isArray(option.defaultValue) ? option.description : new Help().optionDescription(option),
    });
    command.exitOverride(({ exitCode, code }) => {
      // A command that is a program of its own has ended: its exit code is no complaint of the parser.
      const isParsers = code !== 'commander.executeSubCommandAsync' && exitCode !== 0;
      process.exit(isParsers ? EXIT_CODES.usage : exitCode);
    });
  }
  return all;
}

function ownVersion(): string {
  return createRequire(import.meta.url)('wa-upkeep/package.json').version;
}
