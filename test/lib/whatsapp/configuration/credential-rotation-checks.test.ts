import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ConfigurationError,
  checkConfiguration,
} from '../../../../lib/whatsapp/configuration/configuration.ts';
import sample from '../../../../upkeep.config.ts';

const REPOSITORY = new URL('../../../../', import.meta.url).pathname;

// biome-ignore lint/suspicious/noExplicitAny: what is mistaken has no type.
type Anything = any;

/** The mistakes of the sample, with one of its deployments changed. */
function mistakesOf(name: string, change: (deployment: Anything) => void): string[] {
  const configuration = structuredClone(sample) as Anything;
  change(configuration.deployments.find((deployment: Anything) => deployment.name === name));
  try {
    checkConfiguration(configuration, { file: 'upkeep.config.ts', folder: REPOSITORY });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    return error.mistakes;
  }
}

/** Changes `jobs.credentialRotation`; the deployment is there for what stands elsewhere. */
type Change = (rotation: Anything, deployment: Anything) => void;

const OTHER_SECRET = 'arn:aws:secretsmanager:ap-south-1:333333333333:secret:another-a1B2c3';

/** Of the deployment on MySQL: [what is mistaken, the change, the field and the sentence after it] */
const ON_MYSQL: [string, Change, string, string][] = [
  [
    'no databases',
    (_, deployment) => {
      delete deployment.databases;
      delete deployment.jobs.databaseSize;
    },
    '',
    'has no database to log in to; it must come with "databases" of the deployment.',
  ],
  [
    'a host that is none of the databases',
    (rotation) => {
      rotation.host = 'other.internal';
    },
    'host',
    'is "other.internal", a host of none of databases; it must be one of database.apac.internal.',
  ],
  [
    'several servers and no host',
    (_, { databases }) => {
      databases.push({ ...databases[0], prefix: 'second_', host: 'second.apac.internal' });
    },
    'host',
    'is missing, and databases have several; it must be one of database.apac.internal, second.apac.internal.',
  ],
  [
    'one host that is told of in two ways',
    (_, { databases }) => {
      databases.push({ ...databases[0], prefix: 'second_', port: 3307 });
    },
    'host',
    'is told of in several ways by databases; engine, port and certificateAuthority must be the same in all that are of database.apac.internal.',
  ],
  [
    'a strategy that the engine does not need',
    (rotation) => {
      rotation.strategy = { kind: 'single-password', user: 'whatsapp' };
    },
    'strategy.kind',
    'is "single-password", which cannot be: aurora-mysql can keep two passwords for a user: use dual-password, which has no failed logins.',
  ],
  [
    'a field of another strategy',
    (rotation) => {
      rotation.strategy.users = ['one', 'two'];
    },
    'strategy.users',
    'is not of dual-password on aurora-mysql; it must be left out.',
  ],
  [
    'failed logins that are accepted for nothing',
    (rotation) => {
      rotation.acceptFailedLogins = true;
    },
    'acceptFailedLogins',
    'has no effect with dual-password, which has none; it must be left out.',
  ],
  [
    'no administrator where the engine needs one',
    (rotation, { databases }) => {
      databases[0].engine = 'mariadb';
      delete rotation.administrator;
    },
    'administrator',
    'is missing; it must be the secret of a user that changes passwords, for dual-password on mariadb.',
  ],
  [
    'a secret of RDS as the one that is rotated',
    (rotation) => {
      rotation.secret.secretArn = OTHER_SECRET.replace('another', 'rds!cluster-1');
    },
    'secret.secretArn',
    'names a secret that RDS itself rotates; it must be one of your own, of a database user of the application, and that of RDS can be the administrator.',
  ],
  [
    'a secret of another region',
    (rotation) => {
      rotation.secret.secretArn = OTHER_SECRET.replace('ap-south-1', 'eu-west-1');
    },
    'secret.secretArn',
    "names region eu-west-1; it must be of the deployment's own, ap-south-1 and 333333333333.",
  ],
  [
    "the template's key of another region",
    (rotation) => {
      rotation.metaTemplate.encryptionKeyArn = 'arn:aws:kms:eu-west-1:333333333333:key/1';
    },
    'metaTemplate.encryptionKeyArn',
    "names region eu-west-1; it must be of the deployment's own, ap-south-1.",
  ],
  [
    'a copy in another account',
    (rotation) => {
      const secretArn = OTHER_SECRET.replace('333333333333', '444444444444');
      rotation.copies = { secrets: [{ secretArn, key: 'password' }] };
    },
    'copies.secrets[0].secretArn',
    "names account 444444444444; it must be of the deployment's own, ap-south-1 and 333333333333.",
  ],
  [
    'an alarm that would ring before the rotation',
    (rotation) => {
      rotation.rotateAfterDays = 60;
      rotation.maximumAgeDays = 60;
    },
    'maximumAgeDays',
    'is 60; it must be more than the 60 of rotateAfterDays.',
  ],
  [
    'more time for a service than for the run',
    (rotation) => {
      rotation.steadyTimeoutMinutes = 120;
    },
    'steadyTimeoutMinutes',
    'is 120; it must be less than the 120 of timeLimitMinutes.',
  ],
  [
    'more patience with old sessions than time for the run',
    (rotation) => {
      rotation.retirementPatienceMinutes = 120;
    },
    'retirementPatienceMinutes',
    'is 120; it must be less than the 120 of timeLimitMinutes.',
  ],
  [
    'replicas whose sessions tell nothing',
    (rotation) => {
      rotation.replicas = [{ host: 'replica.apac.internal' }];
    },
    'replicas',
    'has no effect with dual-password, where sessions do not tell which password was used; it must be left out.',
  ],
  [
    'a password that nothing is left for',
    (rotation) => {
      rotation.password = { alphabet: 'abc', exclude: 'bc' };
    },
    'password',
    "leaves nothing to draw from: A password's alphabet must have two characters at least.",
  ],
  [
    'an exporter whose copy is written and whose tasks are not replaced',
    (rotation) => {
      delete rotation.services.others;
    },
    'metaTemplate.monitoring',
    'needs its service restarted, for else the exporter keeps the old password; its service must be named in services.others.',
  ],
  [
    'a service that is named twice, be it in another cluster',
    (rotation) => {
      rotation.services.others.push({ name: rotation.services.webapp[0], clusterName: 'other' });
    },
    'services.others[1].name',
    'is "whatsapp-apac-WAEntWebService", as is services.webapp[0]; each service must be named once.',
  ],
  [
    'a service after which no alarm can be named',
    (rotation) => {
      rotation.services.others.push({ name: 's'.repeat(223) }, { name: 't'.repeat(222) });
    },
    'services.others[1].name',
    'has 223 characters; it must have no more than 222, for its alarm is named after the deployment and the service.',
  ],
  [
    'an order that leaves out a role',
    (rotation) => {
      rotation.order = ['webapp', 'coreapp', 'others'];
    },
    'order',
    'is ["webapp","coreapp","others"]; it must name each role that has services once, master too.',
  ],
  [
    "a copy that is the template's own",
    (rotation) => {
      rotation.copies = { parameters: [{ name: 'whatsapp-apac-WA_DB_PASSWORD' }] };
    },
    'copies.parameters[0].name',
    'names the same place as metaTemplate.stackName; it must be left out.',
  ],
  [
    'a URL of a password that may have a slash',
    (rotation) => {
      rotation.password = { alphabet: 'abcdefgh/@' };
      rotation.copies = { parameters: [{ name: 'url', template: 'mysql://{username}:{password}@db/' }] };
    },
    'copies.parameters[0].template',
    'cannot be: The template puts a password with any of /@ between other text, and how its reader takes those is not said: name its encoding (url, pgpass, dsn, env, raw), or exclude the characters.',
  ],
  [
    'a copy in the rotated secret itself',
    (rotation) => {
      rotation.copies = { secrets: [{ secretArn: rotation.secret.secretArn, key: 'password' }] };
    },
    'copies.secrets[0].secretArn',
    'names what is rotated itself, which is no copy of it; it must be left out.',
  ],
];

/** Of the deployment on PostgreSQL. */
const ON_POSTGRES: typeof ON_MYSQL = [
  [
    'two passwords for one user',
    (rotation) => {
      rotation.strategy = { kind: 'dual-password' };
    },
    'strategy.kind',
    'is "dual-password", which cannot be: PostgreSQL keeps one password for a user, so a container that still has the old one could not log in after a rotation. Use alternating-users, with the user name taken from the secret too; or accept failed logins.',
  ],
  [
    'alternating users without their names',
    (rotation) => {
      delete rotation.strategy.users;
    },
    'strategy.kind',
    'is "alternating-users", which cannot be: On PostgreSQL alternating-users needs `users`, the names of both.',
  ],
  [
    'two users of one name',
    (rotation) => {
      rotation.strategy.users = ['wa', 'wa'];
    },
    'strategy.users[1]',
    'is "wa", as deployments[1].jobs.credentialRotation.strategy.users[0] is; each must be named once.',
  ],
  [
    'failed logins that nobody has accepted',
    (rotation) => {
      rotation.strategy = { kind: 'single-password', user: 'whatsapp' };
    },
    'strategy.kind',
    'is "single-password", with which logins fail from the rotation until each container is replaced; it must be "alternating-users", or come with acceptFailedLogins: true.',
  ],
  [
    'a single password of nobody',
    (rotation) => {
      rotation.strategy = { kind: 'single-password' };
      rotation.acceptFailedLogins = true;
    },
    'strategy.user',
    'is missing; it must be the user of the secret.',
  ],
  [
    "alternating users with Meta's template, whose task definitions hold the user name",
    (rotation) => {
      rotation.metaTemplate = {
        stackName: 'whatsapp-emea',
        encryptionKeyArn: 'arn:aws:kms:eu-central-1:222222222222:key/0a1b2c3d',
      };
    },
    'strategy.kind',
    'is "alternating-users", but the containers of Meta\'s template have their user name written in the task definition; it must be "dual-password".',
  ],
  [
    'copies without the user name, though users alternate',
    (rotation) => {
      rotation.copies = { parameters: [{ name: '/whatsapp/emea/password' }] };
    },
    'copies',
    'hold the password alone, and with alternating-users its user changes too; one must have a template with {username}.',
  ],
  [
    'no administrator',
    (rotation) => {
      delete rotation.administrator;
    },
    'administrator',
    'is missing; it must be the secret of a user that changes passwords, for alternating-users on postgres.',
  ],
];

describe("a configuration's credentialRotation", () => {
  for (const [deployment, index, cases] of [
    ['apac', 2, ON_MYSQL],
    ['emea', 1, ON_POSTGRES],
  ] as const)
    for (const [what, change, field, sentence] of cases)
      it(`is refused with ${what}`, () => {
        const mistakes = mistakesOf(deployment, (changed) => {
          change(changed.jobs.credentialRotation, changed);
        });
        const path = ['deployments[', index, '].jobs.credentialRotation', field && `.${field}`].join('');
        assert.deepEqual(mistakes, [`${path} ${sentence}`]);
      });

  for (const [job, at, flexibleMinutes] of [
    ['messageGc', '00:31', 0],
    ['messageGc', '00:25', 10],
    ['mediaGc', '01:30', 0],
    ['logCleanup', '03:31', 10],
  ] as const)
    it(`is refused where ${job}, at ${at} with ${flexibleMinutes} flexible minutes, may begin beside a run`, () => {
      const mistakes = mistakesOf('emea', ({ jobs }) => {
        // Two kinds of GC would have to keep apart as well.
        delete jobs[job === 'mediaGc' ? 'messageGc' : 'mediaGc'];
        jobs.credentialRotation.schedule = { at: '00:31', flexibleMinutes: 0 };
        jobs.credentialRotation.timeLimitMinutes = 180;
        jobs[job].schedule = { ...jobs[job].schedule, at, flexibleMinutes };
      });
      assert.deepEqual(mistakes, [
        `deployments[1].jobs.${job}.schedule.at is "${at}", when a run of credentialRotation may be going on, beside which it would be skipped; it must lie, with its flexible minutes, before 00:31 or more than 180 minutes after it.`,
      ]);
    });

  it('is taken with a job before it, for whose end it waits, and with one after it', () => {
    const mistakes = mistakesOf('emea', ({ jobs }) => {
      jobs.credentialRotation.schedule = { at: '00:31', flexibleMinutes: 0 };
      jobs.credentialRotation.timeLimitMinutes = 180;
      jobs.logCleanup.schedule = { at: '03:32', flexibleMinutes: 10 };
    });
    assert.deepEqual(mistakes, []);
  });

  it('is taken with the secret of RDS as the administrator', () => {
    const mistakes = mistakesOf('emea', ({ jobs }) => {
      jobs.credentialRotation.administrator.secretArn =
        'arn:aws:secretsmanager:eu-central-1:222222222222:secret:rds!cluster-0a1b-c3D4e5';
    });
    assert.deepEqual(mistakes, []);
  });

  it('is taken with databases for which no user is named, unless somebody is to look at their sizes', () => {
    const withoutUser = (deployment: Anything) => {
      for (const databases of deployment.databases) delete databases.user;
    };
    assert.deepEqual(mistakesOf('apac', withoutUser), [
      'deployments[2].databases[0].user is missing; it must be an object with "secretArn", for jobs.databaseSize to log in.',
    ]);
    const mistakes = mistakesOf('apac', (deployment) => {
      withoutUser(deployment);
      delete deployment.jobs.databaseSize;
    });
    assert.deepEqual(mistakes, []);
  });

  it('is taken with failed logins that are accepted', () => {
    const mistakes = mistakesOf('emea', ({ jobs: { credentialRotation } }) => {
      credentialRotation.strategy = { kind: 'single-password', user: 'whatsapp' };
      credentialRotation.acceptFailedLogins = true;
    });
    assert.deepEqual(mistakes, []);
  });

  it('repeats no alphabet that holds what the client does not take', () => {
    const mistakes = mistakesOf('apac', ({ jobs }) => {
      jobs.credentialRotation.password = { alphabet: 'abc=' };
    });
    assert.equal(mistakes.length, 1);
    assert.match(mistakes[0] ?? '', /alphabet is .* it must be a text of at least two printable ASCII/);
  });
});
