import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { ConfigurationError, checkConfiguration } from '../../lib/whatsapp/configuration/configuration.ts';
import type { Answers } from './answers.ts';
import { appOfConfiguration } from './app-of-configuration.ts';
import { shownCertificate } from './certificate.ts';
import type { Role } from './client-containers.ts';
import { type Discovery, discover, type Given } from './discovery.ts';
import { type Draft, draft, possibleJobs } from './draft.ts';
import { JOBS, type Job } from './jobs.ts';
import { MissingFlags } from './missing-flags.ts';
import { importPath } from './own-package.ts';
import type { Asker } from './questions.ts';
import { renderConfiguration } from './render.ts';
import { type ListedSecret, secretOf } from './secrets.ts';
import { type Note, Surroundings } from './surroundings.ts';
import { isTimeZone, parseWindow, USUAL_WINDOW, WINDOW_FORM, windowText } from './window.ts';

/** What flags say. Whatever they leave open is asked, where somebody can be asked. */
export interface InitOptions {
  output: string;
  force?: true;
  region?: string;
  fromStack?: string;
  cluster?: string;
  webapp: string[];
  coreapp: string[];
  master: string[];
  name?: string;
  timeZone?: string;
  window?: { from: string; to: string };
  email: string[];
  topicArn?: string;
  silent?: true;
  webAppUrl?: string;
  serverName?: string;
  certificateAuthority?: string;
  trustCertificate?: true;
  apiUserSecret?: string;
  databaseUserSecret?: string;
  credentialSecret?: string;
  administratorSecret?: string;
  database?: string;
  subnets: string[];
  securityGroups: string[];
  instancesTag?: { tagKey: string; tagValue: string };
  jobs?: Job[];
}

/** What came of it. */
export interface Initialized {
  file: string;
  notes: Note[];
  /** The command that comes next. */
  next: string;
  /** Why the configuration does not synthesize yet: sentences that name their fields. */
  mistakes: string[];
}

/** Of a clone. */
const CONFIGURATION_MODULE = 'lib/whatsapp/configuration/configuration.ts';

/**
 * Looks for a deployment that exists and writes a configuration for it.
 * @param asker undefined: flags say everything
 */
export async function initialize(options: InitOptions, asker: Asker | undefined): Promise<Initialized> {
  await refuseToOverwrite(options, asker);
  refuseMissing(options, asker);
  const around = new Surroundings(options.region);
  const found = await discover(around, givenBy(options), async (clusters) => {
    const message = `Containers of the client run in several clusters: ${clusters.join(', ')}.`;
    if (!asker) throw new MissingFlags(`${message} Say which one by --cluster.`);
    return asker.one(
      message,
      clusters.map((name) => ({ name, value: name })),
    );
  });
  if (found.containers.length === 0)
    around.note(
      'missing',
      `No container was found that looks like the client's (an image …/coreapp or …/web, or WA_… in its environment)${found.clusterName ? '' : ` in ${found.region}`}. Name its services by --webapp, --coreapp and --master: SERVICE or SERVICE/CONTAINER.`,
    );
  const folder = dirname(resolve(options.output));
  const answers = await answersOf(around, found, options, asker, folder);
  const drafted = draft(around, found, answers);
  mkdirSync(folder, { recursive: true });
  writeFileSync(options.output, renderConfiguration(drafted, importPath(folder, CONFIGURATION_MODULE)));
  const next = appOfConfiguration(around, options.output, folder);
  return {
    file: options.output,
    notes: around.notes,
    next,
    mistakes: mistakesOf(drafted, { file: options.output, folder }),
  };
}

async function refuseToOverwrite({ output, force }: InitOptions, asker: Asker | undefined): Promise<void> {
  if (force || !existsSync(output)) return;
  if (asker && (await asker.agrees(`${output} is there already. Write over it?`))) return;
  throw new MissingFlags(`${output} is there already: --output names another file, --force writes over it.`);
}

function refuseMissing(options: InitOptions, asker: Asker | undefined): void {
  if (asker) return;
  const missing = [
    ...(options.timeZone === undefined ? ['--time-zone'] : []),
    ...(notificationsOf(options) === undefined ? ['--email, --topic-arn or --silent'] : []),
  ];
  if (missing.length > 0)
    throw new MissingFlags(
      `There is no terminal to ask on, and nothing here can tell what to take for ${missing.join(', nor for ')}.`,
    );
}

function givenBy(options: InitOptions): Given {
  const { fromStack: stack, cluster, database, subnets, securityGroups, webapp, coreapp, master } = options;
  return {
    ...{ stack, cluster, database, subnets, securityGroups },
    containers: { webapp, coreapp, master } satisfies Record<Role, string[]>,
  };
}

async function answersOf(
  around: Surroundings,
  found: Discovery,
  options: InitOptions,
  asker: Asker | undefined,
  folder: string,
): Promise<Answers> {
  const ask = (question: string, usual: string, problem?: (answer: string) => string | undefined) =>
    asker ? asker.text(question, usual, problem) : Promise.resolve(usual);
  const name =
    options.name ??
    (await ask(
      'What is the deployment called?',
      nameFrom(options.fromStack ?? found.clusterName),
      (answer) =>
        NAME.test(answer)
          ? undefined
          : 'A lower-case letter, then at most 23 lower-case letters, digits and hyphens.',
    ));
  const timeZone =
    options.timeZone ??
    (await ask('In which time zone is its downtime window?', machinesZone(), (answer) =>
      isTimeZone(answer) ? undefined : 'An IANA time zone, such as Europe/Berlin.',
    ));
  const window =
    options.window ??
    parseWindow(
      await ask('When may upkeep run, in local hours of low traffic?', windowText(USUAL_WINDOW), (answer) =>
        parseWindow(answer) ? undefined : WINDOW_FORM,
      ),
    ) ??
    USUAL_WINDOW;
  if (options.window === undefined && !asker)
    around.note(
      'taken',
      `The downtime window is taken to be ${windowText(USUAL_WINDOW)}: --window takes another.`,
    );
  const notifications = notificationsOf(options) ?? {
    emails: (
      await ask('Who is mailed when something fails? (addresses, with commas)', '', (answer) =>
        answer.includes('@')
          ? undefined
          : 'At least one e-mail address; or leave with Ctrl-C, and say --silent, or --topic-arn ARN.',
      )
    )
      .split(/[\s,]+/)
      .filter((address) => address !== ''),
  };
  const possible = possibleJobs(found, options.administratorSecret !== undefined);
  const jobs =
    options.jobs ??
    (asker
      ? await asker.several(
          'Which jobs?',
          JOBS.filter((job) => job === 'applicationSettings' || possible.includes(job)).map((job) => ({
            name: job,
            value: job,
          })),
          possible,
        )
      : possible);
  const webAppUrl = options.webAppUrl ?? (await askedUrl(found, asker));
  const certificate = await certificateOf(around, { found, options, asker, folder, name, webAppUrl });
  const secrets = new SecretChoice(found, asker);
  const rotates = jobs.includes('credentialRotation');
  return {
    name,
    timeZone,
    window,
    notifications,
    jobs,
    webAppUrl,
    serverName: options.serverName ?? certificate.serverName,
    certificateAuthority: certificate.file,
    apiUser: await secrets.choose(options.apiUserSecret, 'with the WebApp API user', API_USER),
    databaseUser: jobs.includes('databaseSize')
      ? await secrets.choose(options.databaseUserSecret, 'of a database user that looks at sizes', SIZE_USER)
      : undefined,
    credential:
      rotates && found.databases?.password?.kind !== 'secret'
        ? await secrets.choose(options.credentialSecret, "with the client's own database user", undefined)
        : rotates && options.credentialSecret
          ? await secrets.choose(options.credentialSecret, '', undefined)
          : undefined,
    administrator: jobs.includes('applicationSettings')
      ? await secrets.choose(options.administratorSecret, 'with an administrator of WebApp', undefined)
      : undefined,
    instancesTag:
      options.instancesTag ??
      (found.metaTemplate && {
        tagKey: 'aws:cloudformation:stack-name',
        tagValue: found.metaTemplate.stackName,
      }),
  };
}

const NAME = /^[a-z][a-z0-9-]{0,23}$/;
const API_USER = /api[-_/]?user|upkeep/i;
const SIZE_USER = /database[-_/]?size/i;

async function askedUrl(found: Discovery, asker: Asker | undefined): Promise<string | undefined> {
  if (found.webApp.url !== undefined || !asker) return undefined;
  const answer = await asker.text(
    'Where does WebApp answer? (https URL; leave empty to fill it in later)',
    '',
  );
  return answer === '' ? undefined : answer;
}

/** Which of the account's secrets is meant: one that a person names or picks, or the only one whose name says so. */
class SecretChoice {
  readonly #found: Discovery;
  readonly #asker: Asker | undefined;

  constructor(found: Discovery, asker: Asker | undefined) {
    this.#found = found;
    this.#asker = asker;
  }

  async choose(
    given: string | undefined,
    what: string,
    likely: RegExp | undefined,
  ): Promise<ListedSecret | undefined> {
    const { secrets } = this.#found;
    if (given !== undefined) {
      const found = secretOf(given, secrets);
      if (!found) throw new MissingFlags(`There is no secret ${given} in ${this.#found.region}.`);
      return found;
    }
    const [only, ...others] = secrets.filter(({ name }) => likely?.test(name));
    if (!this.#asker) return others.length === 0 ? only : undefined;
    if (secrets.length === 0) return undefined;
    const inOrder = [...secrets].sort(
      (one, other) => Number(likely?.test(other.name) ?? 0) - Number(likely?.test(one.name) ?? 0),
    );
    const none = { name: 'none yet', value: undefined };
    const choices = inOrder.map((secret) => ({ name: secret.name, value: secret }));
    return this.#asker.one<ListedSecret | undefined>(
      `Which secret is the one ${what}?`,
      only ? [...choices, none] : [none, ...choices],
    );
  }
}

interface CertificateQuestion {
  found: Discovery;
  options: InitOptions;
  asker: Asker | undefined;
  folder: string;
  name: string;
  webAppUrl: string | undefined;
}

/** The file of WebApp's certificate authority: one that is there, or what WebApp shows, if somebody trusts it. */
async function certificateOf(
  around: Surroundings,
  { found, options, asker, folder, name, webAppUrl }: CertificateQuestion,
): Promise<{ file: string; serverName?: string | undefined }> {
  const file = options.certificateAuthority ?? `certificates/${name}.pem`;
  if (existsSync(resolve(folder, file))) return { file };
  const url = webAppUrl ?? found.webApp.url;
  const shown =
    url !== undefined && (asker || options.trustCertificate) ? await shownCertificate(url) : undefined;
  if (shown) {
    const isTrusted =
      options.trustCertificate ??
      (await asker?.agrees(
        `WebApp shows the certificate of ${shown.subject}, SHA-256 ${shown.fingerprint}. Is it the right one, to be saved as ${file} and trusted?`,
      ));
    if (isTrusted) {
      mkdirSync(dirname(resolve(folder, file)), { recursive: true });
      writeFileSync(resolve(folder, file), shown.pem);
      return { file, serverName: shown.serverName };
    }
  }
  // The configuration names it from where that lies, a shell from where it is used.
  const path = relative(process.cwd(), resolve(folder, file));
  const making = existsSync(dirname(path)) ? '' : `mkdir -p ${dirname(path)} && `;
  around.note(
    'to do',
    `Save WebApp's certificate authority, or its self-signed certificate, as ${path}, before cdk synth; from where WebApp is reached:\n${making}openssl s_client -connect ${url ? hostAndPort(url) : 'HOST:443'} </dev/null | openssl x509 > ${path}`,
  );
  return { file };
}

function hostAndPort(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || 443}`;
}

function notificationsOf({ email, topicArn, silent }: InitOptions): Answers['notifications'] | undefined {
  if (email.length > 0) return { emails: email };
  if (topicArn !== undefined) return { topicArn };
  return silent ? { silent } : undefined;
}

function machinesZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** A deployment's name from a stack's or a cluster's, as short as it must be. */
function nameFrom(of: string | undefined): string {
  const name = (of ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^(whats-?app|wa)-/, '')
    .replace(/^[^a-z]+/, '')
    .slice(0, 24)
    .replace(/-+$/, '');
  return NAME.test(name) ? name : 'whatsapp';
}

/** What `cdk synth` will say of it. */
function mistakesOf({ configuration }: Draft, source: { file: string; folder: string }): string[] {
  try {
    checkConfiguration(configuration, source);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.mistakes;
    throw error;
  }
}
