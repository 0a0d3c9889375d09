import type { Command } from 'commander';
import { doctorCommand } from './doctor.ts';
import { execCommand } from './exec.ts';
import { initCommand } from './init.ts';
import { logsCommand } from './logs.ts';
import { runCommand, watchCommand } from './run.ts';
import { historyCommand, showCommand, statusCommand } from './status.ts';
import { testAlarmsCommand } from './test-alarms.ts';
import { upgradeCheckCommand } from './upgrade-check.ts';
import { windowCommand } from './window.ts';

/** The operator's commands: a file for each group of them. Those that are programs of their own are not among them. */
export function operatorCommands(): Command[] {
  return [
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
  ];
}
