import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerDefinition } from '@aws-sdk/client-ecs';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { listServers } from './databases.ts';
import { generalApp, type Rotation, roleName, type Worked } from './general-app.ts';
import type { Initialized } from './initialize.ts';
import { MissingFlags } from './missing-flags.ts';
import { findNetwork, networkHints } from './networks.ts';
import { importPath, isInstalled, isOutsideClone, moduleExtension } from './own-package.ts';
import type { Asker } from './questions.ts';
import { listSecrets, secretOf, sourceOf } from './secrets.ts';
import { clusterNames, type FoundService, findServices, lastPart, secretsOf } from './services.ts';
import { Surroundings } from './surroundings.ts';
import { isTimeZone, parseWindow, USUAL_WINDOW, WINDOW_FORM, windowText } from './window.ts';

/** What flags say of an application that is anybody's. */
export interface GeneralOptions {
  /** The folder of the app. */
  output: string;
  force?: true;
  region?: string;
  cluster?: string;
  /** SERVICE or SERVICE/CONTAINER. */
  service: string[];
  command?: string;
  name?: string;
  timeZone?: string;
  window?: { from: string; to: string };
  email: string[];
  topicArn?: string;
  silent?: true;
  database?: string;
  subnets: string[];
  securityGroups: string[];
  credentialSecret?: string;
}

/** Files that are not written over without being told to. */
type Files = Record<string, string>;

/**
 * Looks for an application on ECS and writes a CDK app for its upkeep: a command each night in its containers, and the rotation of its
 * database password where that is known.
 */
export async function initializeGeneral(
  options: GeneralOptions,
  asker: Asker | undefined,
): Promise<Initialized> {
  refuseMissing(options, asker);
  if (isOutsideClone(options.output))
    throw new MissingFlags(
      `${options.output} lies outside of this clone, where Node.js would find neither the CDK nor this package: --output names a folder within. Or install what npm pack makes in an app of its own, and say npx wa-upkeep init --general there.`,
    );
  const around = new Surroundings(options.region);
  const { Account: account = '' } = await around.sts.send(new GetCallerIdentityCommand({}));
  const region = await around.ecs.config.region();
  const cluster = await chosenCluster(around, options, asker);
  const services = await findServices(around, { clusters: [cluster] });
  const worked = await chosenServices(services, options, asker);
  const text = async (
    given: string | undefined,
    question: string,
    usual: string,
    problem?: (answer: string) => string | undefined,
  ) => given ?? (asker ? asker.text(question, usual, problem) : usual);
  const name = await text(options.name, 'What is the deployment called?', nameFrom(cluster), (answer) =>
    NAME.test(answer)
      ? undefined
      : 'A lower-case letter, then at most 23 lower-case letters, digits and hyphens.',
  );
  const timeZone = await text(
    options.timeZone,
    'In which time zone is its downtime window?',
    new Intl.DateTimeFormat().resolvedOptions().timeZone,
    (answer) => (isTimeZone(answer) ? undefined : 'An IANA time zone, such as Europe/Berlin.'),
  );
  const window =
    options.window ??
    parseWindow(
      await text(
        undefined,
        'When may upkeep run, in local hours of low traffic?',
        windowText(USUAL_WINDOW),
        (answer) => (parseWindow(answer) ? undefined : WINDOW_FORM),
      ),
    ) ??
    USUAL_WINDOW;
  const command = await text(options.command, 'Which command is to run in each of its containers?', '');
  const emails =
    options.email.length > 0 || options.topicArn !== undefined || options.silent
      ? options.email
      : (await text(undefined, 'Who is mailed when something fails? (addresses, with commas)', ''))
          .split(/[\s,]+/)
          .filter((address) => address !== '');
  const rotation = await findRotation(around, worked, options);
  const app = generalApp(importPath(options.output, 'lib/index.ts'), {
    ...{ account, region, name, timeZone, window, emails, cluster, worked, command, rotation },
    topicArn: options.topicArn,
  });
  for (const { of } of worked)
    if (!of.service.enableExecuteCommand)
      around.note(
        'to do',
        `Enable ECS Exec in ${of.name}, by which the command gets into its containers, and let its task role use ssmmessages:\naws ecs update-service --cluster ${cluster} --service ${of.name} --enable-execute-command --force-new-deployment`,
      );
  const hasManifest = existsSync(join(options.output, 'package.json'));
  // In a folder of its own it gets a manifest that says so.
  const appFile = `app.${isInstalled() && !hasManifest ? 'ts' : moduleExtension(options.output)}`;
  const files: Files = { [appFile]: app, ...surroundingFiles(name, appFile) };
  const written = Object.keys(files).filter(
    (file) => options.force || !existsSync(join(options.output, file)),
  );
  if (
    !written.includes(appFile) &&
    !(await asker?.agrees(`${join(options.output, appFile)} is there already. Write over it?`))
  )
    throw new MissingFlags(
      `${join(options.output, appFile)} is there already: --output names another folder, --force writes over it.`,
    );
  mkdirSync(options.output, { recursive: true });
  for (const file of new Set([appFile, ...written]))
    writeFileSync(join(options.output, file), files[file] ?? '');
  return {
    file: join(options.output, appFile),
    next: `cd ${options.output} && ${isInstalled() ? 'npm install aws-cdk-lib constructs wa-upkeep && ' : ''}npx cdk synth`,
    notes: around.notes,
    mistakes: [],
  };
}

const NAME = /^[a-z][a-z0-9-]{0,23}$/;

function refuseMissing(options: GeneralOptions, asker: Asker | undefined): void {
  if (asker) return;
  const missing = [
    ...(options.timeZone === undefined ? ['--time-zone'] : []),
    ...(options.command === undefined ? ['--command'] : []),
    ...(options.email.length === 0 && options.topicArn === undefined && !options.silent
      ? ['--email, --topic-arn or --silent']
      : []),
  ];
  if (missing.length > 0)
    throw new MissingFlags(
      `There is no terminal to ask on, and nothing here can tell what to take for ${missing.join(', nor for ')}.`,
    );
}

async function chosenCluster(
  around: Surroundings,
  { cluster }: GeneralOptions,
  asker: Asker | undefined,
): Promise<string> {
  if (cluster !== undefined) return lastPart(cluster);
  const names = await clusterNames(around);
  const [only, ...others] = names;
  if (only === undefined) throw new Error('There is no cluster of ECS: is it the right account and region?');
  if (others.length === 0) return only;
  if (!asker)
    throw new MissingFlags(`There are several clusters: say by --cluster which of ${names.join(', ')}.`);
  return asker.one(
    'In which cluster does the application run?',
    names.map((name) => ({ name, value: name })),
  );
}

async function chosenServices(
  services: FoundService[],
  { service: given }: GeneralOptions,
  asker: Asker | undefined,
): Promise<Worked[]> {
  if (services.length === 0) throw new Error('The cluster has no service.');
  const names = services.map(({ name }) => name);
  const chosen =
    given.length > 0
      ? given
      : asker
        ? await asker.several(
            'In the containers of which services?',
            names.map((name) => ({ name, value: name })),
            names,
          )
        : names;
  return chosen.map((each) => {
    const [name, containerName] = each.split('/');
    const of = services.find((service) => service.name === name);
    if (!of) throw new Error(`There is no service ${name}. There: ${names.join(', ')}.`);
    const containers = of.definition.containerDefinitions ?? [];
    const container =
      containerName === undefined
        ? mainContainer(containers)
        : containers.find((one) => one.name === containerName);
    if (!container)
      throw new Error(
        `The service ${name} has no container ${containerName}. It has ${containers.map((one) => one.name).join(', ')}.`,
      );
    return { of, container };
  });
}

/** What the others stand beside: what customers reach, or without which the task ends. */
function mainContainer(containers: ContainerDefinition[]): ContainerDefinition | undefined {
  return (
    containers.find(({ portMappings }) => portMappings !== undefined && portMappings.length > 0) ??
    containers.find(({ essential }) => essential !== false)
  );
}

/** The engines on which one user has two passwords, and changes its own: nothing else has to be made first. */
const BY_ITSELF: readonly string[] = ['mysql', 'aurora-mysql'];

async function findRotation(
  around: Surroundings,
  worked: Worked[],
  { database, credentialSecret, subnets, securityGroups }: GeneralOptions,
): Promise<Rotation | undefined> {
  const taken = worked.flatMap(({ of }) =>
    (of.definition.containerDefinitions ?? []).flatMap((container) =>
      Object.values(secretsOf(container)).map((valueFrom) => ({ of, source: sourceOf(valueFrom) })),
    ),
  );
  const passwords = taken.flatMap(({ of, source }) =>
    source.kind === 'secret' && source.key === 'password' ? [{ of, id: source.id }] : [],
  );
  const id = credentialSecret ?? passwords[0]?.id;
  if (id === undefined) return undefined;
  const secrets = await listSecrets(around);
  const secret = secretOf(id, secrets);
  if (!secret) throw new MissingFlags(`There is no secret ${id}.`);
  const servers = (await listServers(around)).filter(({ engine }) => BY_ITSELF.includes(engine));
  const [only, ...others] = servers;
  const server =
    database === undefined
      ? others.length === 0
        ? only
        : undefined
      : servers.find(({ identifier }) => identifier === database);
  if (!server) {
    around.note(
      'to do',
      `Containers take a password from ${secret.name}. To have it rotated too, give --database with its server on MySQL${servers.length > 0 ? ` (${servers.map(({ identifier }) => identifier).join(', ')})` : ''}; of other engines see docs/credential-rotation.md.`,
    );
    return undefined;
  }
  const users = [
    ...new Set(
      passwords.filter((each) => secretOf(each.id, secrets)?.arn === secret.arn).map(({ of }) => of),
    ),
  ];
  const hints = networkHints(users, undefined);
  const network = await findNetwork(around, {
    ...hints,
    subnetIds: subnets.length > 0 ? subnets : hints.subnetIds,
    securityGroupIds: securityGroups.length > 0 ? securityGroups : hints.securityGroupIds,
  });
  if (network.vpcId === undefined || network.subnets.length === 0 || users.length === 0) {
    around.note(
      'to do',
      `To have the password in ${secret.name} rotated, give the subnets from which ${server.identifier} is reached (--subnets).`,
    );
    return undefined;
  }
  return {
    secret,
    server,
    network,
    services: users.map(({ name, cluster }) => ({ name, clusterName: cluster })),
  };
}

function nameFrom(cluster: string): string {
  const name = roleName(cluster).slice(0, 24);
  return NAME.test(name) ? name : 'app';
}

/** What a folder needs to be a CDK app, besides the app: of an installed package only, a clone has all of it. */
function surroundingFiles(name: string, appFile: string): Files {
  const cdk: Files = {
    'cdk.json': `${JSON.stringify({ app: `node ${appFile}`, output: 'cdk.out' }, undefined, 2)}\n`,
  };
  if (!isInstalled()) return cdk;
  const manifest = { name: `${name}-upkeep`, private: true, type: 'module' };
  const compilerOptions = {
    ...{ target: 'es2023', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: true },
    types: ['node'],
  };
  return {
    ...cdk,
    'package.json': `${JSON.stringify(manifest, undefined, 2)}\n`,
    'tsconfig.json': `${JSON.stringify({ compilerOptions, include: [appFile] }, undefined, 2)}\n`,
  };
}
