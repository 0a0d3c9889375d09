import assert from 'node:assert/strict';
import { test } from 'node:test';
import { optionsIn } from '../../../../../functions/shared/database/mysql-and-mariadb/account-options.ts';
import {
  grantsOfLacking,
  rightsIn,
  rolesIn,
} from '../../../../../functions/shared/database/mysql-and-mariadb/grants.ts';

const ROUND_TRIPS = [
  'GRANT SELECT, INSERT ON `a``b, ON c`.`d TO e` TO `one`@`%` WITH GRANT OPTION',
  'GRANT UPDATE (`a, ON b)`), UPDATE (`c``d`) ON `x`.`y` TO `one`@`%`',
  'GRANT EXECUTE ON PROCEDURE `x`.`p` TO `one`@`%`',
  "GRANT PROXY ON 'o\\'th er'@'%' TO `one`@`%` WITH GRANT OPTION",
  'GRANT BACKUP_ADMIN ON *.* TO `one`@`%`',
  'GRANT APPLICATION_PASSWORD_ADMIN, FLUSH_TABLES ON *.* TO `one`@`%` WITH GRANT OPTION',
  'GRANT USAGE ON `x`.* TO `one`@`%` WITH GRANT OPTION',
];

for (const line of ROUND_TRIPS)
  test(`gives what it has read: ${line}`, () => {
    assert.deepEqual(grantsOfLacking(rightsIn([line]), new Map(), '`one`@`%`'), [line]);
    assert.deepEqual(grantsOfLacking(rightsIn([line]), rightsIn([line]), '`one`@`%`'), []);
  });

test('the right to pass on a dynamic privilege is that of no other privilege', () => {
  const lines = [
    'GRANT SELECT ON *.* TO `one`@`%`',
    'GRANT BACKUP_ADMIN ON *.* TO `one`@`%` WITH GRANT OPTION',
  ];
  assert.deepEqual(grantsOfLacking(rightsIn(lines), new Map(), 'x'), [
    'GRANT SELECT ON *.* TO x',
    'GRANT BACKUP_ADMIN ON *.* TO x WITH GRANT OPTION',
  ]);
});

test('a hash that MariaDB tells beside a grant is left out', () => {
  const line =
    "GRANT SELECT ON *.* TO `one`@`%` IDENTIFIED BY PASSWORD '*F1E12C3BD7A9234A6103FFE3108372F9E8EB0CA5' REQUIRE SUBJECT '/CN=WITH GRANT OPTION'";
  assert.deepEqual(grantsOfLacking(rightsIn([line]), new Map(), 'x'), ['GRANT SELECT ON *.* TO x']);
});

test('roles are read with the right to pass them on', () => {
  assert.deepEqual(
    [...rolesIn(['GRANT `a``,b`@`%`,`c`@`%` TO `one`@`%` WITH ADMIN OPTION', 'GRANT `d` TO `one`@`%`'])],
    [
      ['`a``,b`@`%`', true],
      ['`c`@`%`', true],
      ['`d`', false],
    ],
  );
});

test('how an account is held is read whatever stands in its texts', () => {
  assert.deepEqual(
    optionsIn(
      "CREATE USER `o``ne`@`%` IDENTIFIED WITH 'caching_sha2_password' AS '$A$005$\\'x REQUIRE y' DEFAULT ROLE `r`@`%`,`s`@`%` REQUIRE SUBJECT '/CN=a WITH b' ISSUER '/CN=c' WITH MAX_QUERIES_PER_HOUR 7 MAX_USER_CONNECTIONS 0 PASSWORD EXPIRE DEFAULT ACCOUNT LOCK PASSWORD REQUIRE CURRENT DEFAULT ATTRIBUTE '{\"comment\": \"it\\'s ACCOUNT LOCK\"}'",
    ),
    {
      plugin: 'caching_sha2_password',
      required: "SUBJECT '/CN=a WITH b' ISSUER '/CN=c'",
      limits: 'MAX_QUERIES_PER_HOUR 7',
      passwordTerms: 'PASSWORD EXPIRE DEFAULT PASSWORD REQUIRE CURRENT DEFAULT',
      attribute: 'ATTRIBUTE \'{"comment": "it\\\'s ACCOUNT LOCK"}\'',
      defaultRoles: ['`r`@`%`', '`s`@`%`'],
    },
  );
  const plain = {
    plugin: undefined,
    required: 'NONE',
    limits: '',
    passwordTerms: '',
    attribute: '',
    defaultRoles: [],
  };
  assert.deepEqual(optionsIn("CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*AB' ACCOUNT LOCK"), plain);
  // As an account is told its own.
  const own = "CREATE USER `a`@`%` IDENTIFIED WITH 'sha256_password' AS <secret> REQUIRE NONE";
  assert.deepEqual(optionsIn(own), { ...plain, plugin: 'sha256_password' });
  assert.equal(optionsIn('CREATE USER something else'), undefined);
});
