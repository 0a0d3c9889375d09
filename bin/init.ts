import { styleText } from 'node:util';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { GeneralOptions } from './init/general.ts';
import type { Initialized, InitOptions } from './init/initialize.ts';
import { JOBS, type Job } from './init/jobs.ts';
import { MissingFlags } from './init/missing-flags.ts';
import { moduleExtension } from './init/own-package.ts';
import type { Note } from './init/surroundings.ts';
import { isTimeZone, parseWindow, WINDOW_FORM } from './init/window.ts';
import { EXIT_CODES, EXIT_CODES_HELP, giveUp, helpText, messageOf } from './output.ts';

interface Options extends InitOptions {
  general?: true;
  service: string[];
  command?: string;
  yes?: true;
  json?: true;
}

const CONFIGURATION = `upkeep.config.${moduleExtension('.')}`;

/** `wa-upkeep init`: looks for a deployment that exists, and writes the configuration for it. */
export function initCommand(): Command {
  const command = new Command('init')
    .summary('find a deployment that exists, and write its configuration')
    .description(
      'Looks in the account for a deployment of the client: clusters, services, containers, the address of WebApp, databases, secrets ' +
        '(never their values), the file system, the network. Asks for the rest and writes upkeep.config.ts. Changes nothing on AWS.',
    )
    .option('--from-stack <name>', "read a stack of CloudFormation, such as one of Meta's AWS template")
    .option('--output <file>', 'the file that is written', CONFIGURATION)
    .option('--force', 'write over it, if it is there')
    .option('--yes', 'ask nothing: take what was found, what flags say and what is usual')
    .option('--json', 'what came of it, as JSON')
    .option('--region <name>', 'default: that of the environment');
  command
    .option('--cluster <name>', 'the cluster of ECS, where the client runs in several')
    .option(
      '--webapp <service>',
      'SERVICE or SERVICE/CONTAINER, where it is not found; repeatable',
      collected,
      [],
    )
    .option('--coreapp <service>', 'likewise', collected, [])
    .option('--master <service>', 'likewise', collected, [])
    .option('--database <identifier>', "the server of RDS, or Aurora's cluster, with the databases")
    .option('--subnets <ids>', 'where the functions stand, with commas', listed, [])
    .option('--security-groups <ids>', "the functions', with commas", listed, [])
    .option('--instances-tag <key=value>', 'of instances that Run Command reaches', tag);
  command
    .option('--name <name>', "the deployment's")
    .option('--time-zone <zone>', 'of the downtime window, such as Europe/Berlin', timeZone)
    .option('--window <times>', 'the downtime window, such as 01:00-05:00', window)
    .option(
      '--jobs <names>',
      'with commas; default: those for which everything is there, or can be made',
      jobs,
    )
    .option('--email <address>', 'who is mailed alarms; repeatable', collected, [])
    .option('--topic-arn <arn>', 'a topic of yours that gets the alarms')
    .option('--silent', 'nobody is told of alarms')
    .option('--web-app-url <url>', 'where WebApp answers, such as https://webapp.example.internal')
    .option('--server-name <name>', "the name in WebApp's certificate, where it is not the URL's host")
    .option(
      '--certificate-authority <file>',
      "WebApp's, relative to the configuration (default: certificates/NAME.pem)",
    )
    .option('--trust-certificate', 'save the certificate that WebApp shows now as that file, unseen')
    .option('--api-user-secret <secret>', 'name or ARN of the secret with the WebApp API user')
    .option('--database-user-secret <secret>', 'likewise with the user that looks at sizes')
    .option('--credential-secret <secret>', "likewise with the client's own database user, to be rotated")
    .option(
      '--administrator-secret <secret>',
      'likewise with an administrator of WebApp, for application-settings alone',
    );
  return command
    .addOption(
      new Option(
        '--general',
        'write a CDK app for any application on ECS instead, into the folder of --output',
      ).conflicts('fromStack'),
    )
    .option('--service <service>', 'with --general: SERVICE or SERVICE/CONTAINER; repeatable', collected, [])
    .option('--command <command>', 'with --general: what runs each night in their containers')
    .addHelpText(
      'after',
      helpText(`
Examples:
  wa-upkeep init
  wa-upkeep init --from-stack whatsapp --time-zone America/Sao_Paulo --email oncall@example.com
  wa-upkeep init --general --output upkeep --service shop/app --command '/srv/prune --older-than 30' --time-zone UTC --silent
  wa-upkeep init --yes --time-zone UTC --silent --output shop.config.ts

Every question has a flag; without a terminal there are only flags. What could not be found is named, with the flag or the command
that mends it; in its place stands something that must be replaced, such as a secret whose ARN ends with ABSENT.
What it asks of AWS: docs/command-line.md.
${EXIT_CODES_HELP.replace('a problem was found', 'something is missing, or must be done, before the configuration can be deployed')}`),
    )
    .action(async ({ yes, json, general, ...options }: Options) => {
      // It brings nine clients of AWS, which no other command needs.
      const { initialize } = await import('./init/initialize.ts');
      try {
        const isAsked = !yes && process.stdin.isTTY;
        const asker = isAsked ? (await import('./init/questions.ts')).ON_TERMINAL : undefined;
        const done = general
          ? await (await import('./init/general.ts')).initializeGeneral(generalOptions(options), asker)
          : await initialize(options, asker);
        process.stdout.write(json ? `${JSON.stringify(done, undefined, 2)}\n` : textOf(done));
        if (!isWhole(done)) process.exitCode = EXIT_CODES.problem;
      } catch (error) {
        if (error instanceof MissingFlags) {
          process.stderr.write(`${error.message}\n`);
          process.exitCode = EXIT_CODES.usage;
        } else if (error instanceof Error && error.name === 'ExitPromptError') {
          process.stderr.write('Left: nothing is written.\n');
          process.exitCode = EXIT_CODES.problem;
        } else giveUp(new Error(whyNot(error, options)));
      }
    });
}

/** Into a folder, not a file. */
function generalOptions({ output, ...options }: Options): GeneralOptions {
  return { ...options, output: output === CONFIGURATION ? '.' : output };
}

function isWhole({ notes, mistakes }: Initialized): boolean {
  return mistakes.length === 0 && !notes.some(({ kind }) => kind === 'missing' || kind === 'could not look');
}

function whyNot(error: unknown, { fromStack }: Options): string {
  const message = messageOf(error);
  return fromStack !== undefined && /does not exist/.test(message)
    ? `${message}: is it the right account and region (--region, AWS_PROFILE)?`
    : message;
}

const HEADS: Record<Note['kind'], { head: string; colour: 'red' | 'yellow' | 'dim' }> = {
  missing: { head: 'Missing', colour: 'red' },
  'could not look': { head: 'Could not look', colour: 'yellow' },
  'to do': { head: 'To do', colour: 'yellow' },
  taken: { head: 'Taken to be so', colour: 'dim' },
};

function textOf({ file, notes, mistakes, next }: Initialized): string {
  const lines = [`Wrote ${file}.`];
  for (const [kind, { head, colour }] of Object.entries(HEADS)) {
    const own = notes.filter((note) => note.kind === kind);
    if (own.length === 0) continue;
    lines.push('', styleText(colour, `${head}:`, { stream: process.stdout }));
    for (const { what } of own) lines.push(...indented(what));
  }
  if (mistakes.length > 0) {
    lines.push('', styleText('red', 'It does not synthesize yet:', { stream: process.stdout }));
    for (const mistake of mistakes) lines.push(...indented(mistake));
  }
  lines.push('', `Then: ${next}`);
  return `${lines.join('\n')}\n`;
}

function indented(text: string): string[] {
  return text.split('\n').map((line, index) => `${index === 0 ? '- ' : '  '}${line}`);
}

function collected(value: string, before: string[]): string[] {
  return [...before, value];
}

function listed(text: string): string[] {
  return text.split(/[\s,]+/).filter((each) => each !== '');
}

function tag(text: string): { tagKey: string; tagValue: string } {
  const [, tagKey, tagValue] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (!tagKey || !tagValue) throw new InvalidArgumentError('It must be KEY=VALUE.');
  return { tagKey, tagValue };
}

function window(text: string): { from: string; to: string } {
  const found = parseWindow(text);
  if (!found) throw new InvalidArgumentError(WINDOW_FORM);
  return found;
}

function timeZone(text: string): string {
  if (!isTimeZone(text))
    throw new InvalidArgumentError('It must be an IANA time zone, such as Europe/Berlin.');
  return text;
}

function jobs(text: string): Job[] {
  return listed(text).map((name) => {
    const job = JOBS.find(
      (each) => each === name || each === name.replace(/-(.)/g, (_, letter) => letter.toUpperCase()),
    );
    if (!job) throw new InvalidArgumentError(`There is no job ${name}: ${JOBS.join(', ')}.`);
    return job;
  });
}
