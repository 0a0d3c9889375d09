import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { messageOf } from '../../bin/output.ts';
import { program } from '../../bin/program.ts';

/** A test: its file in this folder, and what it is called. */
type Named = readonly [file: string, title: string];

const DOCTOR = 'doctor.test.ts';
const INIT = 'init.test.ts';
const OPERATOR = 'operator.test.ts';
const PERMISSIONS = 'doctor/permissions.test.ts';
const ALIKE: Named = [
  OPERATOR,
  'shows on a terminal what it writes to a pipe, of each other command that only reads',
];

/** Where each command is run through a pipe, and where in a real terminal. */
const RUN: Record<string, { pipe: Named; terminal: Named }> = {
  doctor: {
    pipe: [DOCTOR, 'says where it could not look, and which right is missing'],
    terminal: [DOCTOR, 'shows only what is wrong if asked to, on a terminal in colours, and exits with 1'],
  },
  'doctor --before-deploy': {
    pipe: [DOCTOR, 'gives what is sound no warning before it is deployed'],
    terminal: [DOCTOR, 'shows on a terminal what is missing before a deploy, in colours'],
  },
  'doctor --fix': {
    pipe: [DOCTOR, 'does what is safe, if told to, and nothing without a terminal to ask on'],
    terminal: [DOCTOR, 'asks on a terminal, and takes no for an answer'],
  },
  'doctor --permissions': {
    pipe: [PERMISSIONS, 'is shown on a terminal as it is through a pipe'],
    terminal: [PERMISSIONS, 'is shown on a terminal as it is through a pipe'],
  },
  exec: {
    pipe: ['exec.test.ts', 'prints what it prints, and exits as it does'],
    terminal: [
      'exec.test.ts',
      'is a terminal that follows its size, passes Ctrl-C on, and is given back as it was',
    ],
  },
  history: { pipe: ALIKE, terminal: ALIKE },
  init: {
    pipe: [INIT, 'takes flags where there is no terminal, and never writes over a file without being told'],
    terminal: [INIT, 'asks on a terminal for what no flag says, and what it finds is what Enter takes'],
  },
  'init --general': {
    pipe: [INIT, 'writes a CDK app for any application, which passes the type check and synthesizes'],
    terminal: [INIT, 'asks on a terminal for what the app of any application needs'],
  },
  logs: {
    pipe: [OPERATOR, "shows a run's own lines in the log, and no others"],
    terminal: [OPERATOR, "shows a run's own lines in the log, and no others"],
  },
  'migrate-to-alternating-users': {
    pipe: [
      'migrate-to-alternating-users.test.ts',
      'makes two users of one while that one logs in and keeps its sessions, and says so the next time',
    ],
    terminal: [
      'migrate-to-alternating-users.test.ts',
      'tries it without leaving anything behind, and prints the statements',
    ],
  },
  rehearse: {
    pipe: [
      '../package/package.test.ts',
      'plays the rotation of a password so, on a real server of each engine',
    ],
    terminal: [
      '../package/package.test.ts',
      'plays a night of it by wa-upkeep rehearse on a terminal, with what is described to stand in the containers',
    ],
  },
  run: {
    pipe: [OPERATOR, 'starts a job, follows its steps and ends with its report'],
    terminal: [OPERATOR, 'is left with Ctrl-C while the run goes on, and taken up again'],
  },
  show: { pipe: ALIKE, terminal: ALIKE },
  status: {
    pipe: [OPERATOR, 'says whether all is well, with colours on a terminal only'],
    terminal: [OPERATOR, 'says whether all is well, with colours on a terminal only'],
  },
  'test-alarms': {
    pipe: [OPERATOR, 'rings each alarm once, says who was told, and leaves it as it was'],
    terminal: [OPERATOR, 'rings each alarm once, says who was told, and leaves it as it was'],
  },
  'upgrade-check': {
    pipe: [OPERATOR, 'says whether the client may be upgraded, and why not'],
    terminal: [OPERATOR, 'says whether the client may be upgraded, and why not'],
  },
  watch: { pipe: ALIKE, terminal: ALIKE },
  window: { pipe: ALIKE, terminal: ALIKE },
};

/** By what tests run a command in a terminal, or through pipes. */
const BY = {
  terminal: /\b(inTerminal|inTerminalOf|rehearsedInTerminal|spawnInTerminal|startTerminal|tryOnTerminal)\(/,
  pipe: /\b(piped|commandLine|rehearsed|runDocumented)\(/,
};

test('every command has a test through a real terminal, and one through a pipe', () => {
  const commands = program().commands.map((command) => command.name());
  // With one of these it is another command: its rights are other ones, or what it writes is.
  const others = readFileSync('docs/command-line.md', 'utf8').matchAll(
    /^\| `(\w+ --[\w-]+)[^`]*` \| (?=`|also `)/gm,
  );
  const expected = new Set([...commands, ...Array.from(others, ([, words = '']) => words), 'init --general']);
  assert.deepEqual(Object.keys(RUN).sort(), [...expected].sort());
  for (const [command, tests] of Object.entries(RUN))
    for (const [how, [file, title]] of Object.entries(tests) as [keyof typeof BY, Named][]) {
      const body = bodyOf(file, title);
      const flag = /--[\w-]+/.exec(command)?.[0] ?? '';
      assert.match(body, BY[how], `${command}: "${title}" runs nothing ${how}`);
      assert.ok(body.includes(flag), `${command}: "${title}" has no ${flag}`);
    }
});

test('every command says how it is used, with examples, and what it exits with', () => {
  const all = program();
  const documented = readFileSync('docs/command-line.md', 'utf8');
  for (const command of [all, ...all.commands]) {
    const file = PROGRAMS[command.name()];
    let help = file === undefined ? '' : readFileSync(file, 'utf8');
    const writeOut = (text: string) => {
      help += text;
    };
    if (file === undefined) command.configureOutput({ writeOut }).outputHelp();
    const examples = new RegExp(
      `^Examples:\\n {2}(npx )?wa-upkeep ${command === all ? '' : command.name()}`,
      'm',
    );
    assert.match(help, examples, command.name());
    assert.match(help, /^Exit codes: /m, command.name());
    if (command === all) continue;
    assert.match(documented, new RegExp(`^\\| \`${command.name()}\\b`, 'm'));
    // As docs/command-line.md says.
    if (command.name() !== 'migrate-to-alternating-users') assert.match(help, /--json/, command.name());
  }
});

test('every help is in lines as wide as the terminal, each as full as it can be', () => {
  const all = program();
  for (const columns of [70, 80, 130])
    for (const command of [all, ...all.commands].filter((each) => PROGRAMS[each.name()] === undefined)) {
      let help = '';
      const writeOut = (text: string) => {
        help += text;
      };
      command.configureOutput({ writeOut, getOutHelpWidth: () => columns }).outputHelp();
      assert.doesNotMatch(help, /\(default: \[\]\)/, command.name());
      const lines = help.split('\n');
      for (const [index, line] of lines.entries()) {
        // Examples are for copying.
        if (line.startsWith('  wa-upkeep ')) continue;
        assert.ok(line.length <= columns, `${command.name()}, ${columns} columns: ${line}`);
        const next = lines[index + 1] ?? '';
        const [word = ''] = next.split(' ');
        if (/^\S.*[^:]$/.test(line) && word !== '')
          assert.ok(line.length + 1 + word.length > columns, `${command.name()}: ${line}\n${next}`);
      }
    }
});

/** Commands that are programs of their own, whose help stands in their sources. */
const PROGRAMS: Record<string, string> = {
  'migrate-to-alternating-users': 'bin/migrate-to-alternating-users.ts',
  rehearse: 'rehearsal/rehearse.ts',
};

/** A test's source, up to the next one. */
function bodyOf(file: string, title: string): string {
  const source = readFileSync(new URL(file, import.meta.url), 'utf8');
  const quoted = [`'${title}'`, `"${title}"`].find((each) => source.includes(each));
  assert.ok(quoted, `${file} has no test "${title}"`);
  const [body = ''] = source.slice(source.indexOf(quoted)).split(/\n *(?:it|test)\(/);
  return body;
}

test('says where a region is looked for, of a profile too that has none', () => {
  const { AWS_PROFILE: before } = process.env;
  try {
    process.env.AWS_PROFILE = 'nobody';
    assert.match(
      messageOf(new Error('Region is missing')),
      /^No AWS region is known: say --region NAME, .* The profile nobody \(AWS_PROFILE\) has none, or is not there\.$/,
    );
  } finally {
    if (before === undefined) delete process.env.AWS_PROFILE;
    else process.env.AWS_PROFILE = before;
  }
});
