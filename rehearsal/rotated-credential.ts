import type { CredentialRotationSettings } from '../functions/credential-rotation/contract.ts';
import type { Login } from '../functions/shared/database/contract/engine.ts';
import { contentOf } from '../functions/shared/database/credential/copy-template.ts';
import type { Place } from './aws/place.ts';
import type { Aws } from './aws/server.ts';
import type { ClientDatabase, ClientUsers } from './whatsapp/client-database.ts';
import type { ClientRole } from './whatsapp/client-files.ts';
import type { GivenLogin } from './whatsapp/logins.ts';

/** A database credential that a job rotates, in the secret and wherever else it is kept. */
export interface RotatedCredential {
  /** What the secret holds under a label. */
  login(stage?: 'AWSCURRENT' | 'AWSPREVIOUS'): Login | undefined;
  /** What a container of a role is given when it starts: from the copy that it reads, if there is one. */
  givenTo(role: ClientRole): GivenLogin;
  /** What a container that starts takes for that. A fault can set it. */
  misread?: (login: Login, role: ClientRole) => Login;
  /** Whether the database lets it in. */
  accepts(login: Login): Promise<boolean>;
  /** Writes it, or another login, to every copy, as somebody would by hand. */
  writeCopies(login: Login): void;
  /** From now on its parameters are of the advanced tier, as the client's own stack may have them. */
  useAdvancedTier(): void;
}

const DAY = 24 * 3600 * 1000;

/** Writes a credential to the secret and to its copies, so long ago that its rotation is due. */
export function keepCredential(
  aws: Aws,
  settings: Pick<
    CredentialRotationSettings,
    'secretArn' | 'adminSecretArn' | 'database' | 'copies' | 'rotateAfterDays'
  >,
  where: Place,
  { user, administrator }: ClientUsers,
  database: ClientDatabase,
): RotatedCredential {
  const { secretArn, adminSecretArn, copies, rotateAfterDays } = settings;
  const { engine, host, port } = settings.database;
  const madeAt = aws.clock.now() - rotateAfterDays * DAY;
  aws.secrets.put(secretArn, JSON.stringify({ engine, host, port, ...user }), madeAt);
  if (adminSecretArn && administrator) aws.secrets.put(adminSecretArn, JSON.stringify(administrator));
  const login: RotatedCredential['login'] = (stage) => {
    const value = aws.secrets.value(secretArn, stage);
    return value === undefined ? undefined : JSON.parse(value);
  };
  let tier: 'Standard' | 'Advanced' = 'Standard';
  const read = (role: ClientRole): Login => {
    for (const copy of copies) {
      if (copy.kind === 'parameter' && role !== 'exporter')
        return { ...user, password: aws.ssm.parameter(copy.name, where)?.value ?? '' };
      if (copy.kind === 'secret' && role === 'exporter') {
        const line = String(JSON.parse(aws.secrets.value(copy.secretArn) ?? '{}')[copy.key]);
        const [, username = '', password = ''] = /^([^:]*):(.*)@/.exec(line) ?? [];
        return { username, password };
      }
    }
    return login() ?? user;
  };
  const credential: RotatedCredential = {
    useAdvancedTier() {
      tier = 'Advanced';
      const current = login('AWSCURRENT');
      if (current) credential.writeCopies(current);
    },
    login,
    givenTo(role) {
      const given = read(role);
      const taken = credential.misread?.(given, role) ?? given;
      const isMisread = taken.username !== given.username || taken.password !== given.password;
      return { ...taken, ...(isMisread && { isMisread }) };
    },
    accepts: (tried) =>
      database.logIn(tried).then(
        async (close) => {
          await close();
          return true;
        },
        () => false,
      ),
    writeCopies(written) {
      for (const copy of copies) {
        const content = contentOf(copy, written);
        if (copy.kind === 'secret') aws.secrets.put(copy.secretArn, JSON.stringify({ [copy.key]: content }));
        else aws.ssm.write(copy.name, content, { ...where, tier, ...(copy.keyId && { keyId: copy.keyId }) });
        // That of a parameter belongs to the stack that made it, which is in no template here.
        if (copy.kind === 'parameter' && copy.keyId) aws.access.addKey(copy.keyId);
      }
    },
  };
  credential.writeCopies(user);
  return credential;
}
