import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { ECSClient } from '@aws-sdk/client-ecs';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { Stack } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket, BucketEncryption } from 'aws-cdk-lib/aws-s3';
import { sha256Of, signUploads, urlOf } from '../../../../functions/log-cleanup/upload-address.ts';
import { deploy, HOUR, START } from '../deploy.ts';

function define(stack: Stack): void {
  new Bucket(stack, 'Logs', { bucketName: 'logs', enforceSSL: true });
  new Bucket(stack, 'Sealed', {
    bucketName: 'sealed',
    encryption: BucketEncryption.KMS,
    encryptionKey: new Key(stack, 'Key'),
    bucketKeyEnabled: true,
  });
}

const Body = Buffer.from('a line\n');
const ON_LOGS = { Effect: 'Allow', Action: 's3:PutObject', Resource: 'arn:aws:s3:::logs/shop/*' };

test('keeps what it is given, finds it by its key, and lists it, for the SDK and for the AWS CLI', async (context) =>
  deploy(define, async ({ aws, client }) => {
    const s3 = new S3Client(client());
    const Key = 'shop/web/2026-11-24/a+b c.gz';
    await s3.send(new PutObjectCommand({ Bucket: 'logs', Key, Body, ChecksumAlgorithm: 'SHA256' }));
    const head = await s3.send(new HeadObjectCommand({ Bucket: 'logs', Key, ChecksumMode: 'ENABLED' }));
    assert.equal(head.ChecksumSHA256, Buffer.from(sha256Of(Body), 'hex').toString('base64'));
    assert.equal(head.ContentLength, Body.length);
    const age = (head.LastModified?.getTime() ?? 0) - START;
    assert.ok(age >= 0 && age < HOUR, 'by the simulated clock');
    const got = await s3.send(new GetObjectCommand({ Bucket: 'logs', Key }));
    assert.equal(await got.Body?.transformToString(), Body.toString());
    await s3.send(new PutObjectCommand({ Bucket: 'logs', Key: 'shop/z', Body }));
    const listed = await s3.send(new ListObjectsV2Command({ Bucket: 'logs', Prefix: 'shop/', MaxKeys: 1 }));
    assert.deepEqual([listed.Contents?.map(({ Key }) => Key), listed.IsTruncated], [[Key], true]);
    const ContinuationToken = listed.NextContinuationToken;
    const rest = await s3.send(new ListObjectsV2Command({ Bucket: 'logs', ContinuationToken }));
    assert.deepEqual(
      rest.Contents?.map(({ Key }) => Key),
      ['shop/z'],
    );
    await assert.rejects(s3.send(new GetObjectCommand({ Bucket: 'logs', Key: 'none' })), {
      name: 'NoSuchKey',
    });
    await assert.rejects(s3.send(new PutObjectCommand({ Bucket: 'none', Key, Body })), {
      name: 'NoSuchBucket',
    });
    await assert.rejects(
      s3.send(new PutObjectCommand({ Bucket: 'logs', Key, Body, ChecksumSHA256: 'AAAA' })),
      { name: 'BadDigest' },
    );
    assert.equal(aws.s3.objects('logs').size, 2);
    await context.test('the AWS CLI, by the lines of docs/log-archive.md', { skip: !hasCli() }, async () => {
      const [, lines = ''] = /^```sh\n(.*?)^```$/ms.exec(readFileSync('docs/log-archive.md', 'utf8')) ?? [];
      const [, key = ''] = /s3:\/\/BUCKET\/(\S+) - \| zcat$/m.exec(lines) ?? [];
      await s3.send(new PutObjectCommand({ Bucket: 'logs', Key: key, Body: gzipSync('a rotated line\n') }));
      const { endpoint, region, credentials } = client();
      // Debian's 2.9 does not know the environment variable.
      const command = `aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }\n${lines.replaceAll('BUCKET', 'logs')}`;
      const { stdout } = await promisify(execFile)('bash', ['-e', '-c', command], {
        env: {
          ...process.env,
          AWS_ENDPOINT_URL: endpoint,
          AWS_DEFAULT_REGION: region,
          AWS_ACCESS_KEY_ID: credentials.accessKeyId,
          AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
          AWS_SESSION_TOKEN: credentials.sessionToken,
        },
      });
      const [listed = '', ...read] = stdout.split('\n');
      assert.ok(key !== '' && listed.endsWith(` ${key}`), stdout);
      assert.deepEqual(read, ['a rotated line', '']);
    });
  }));

function hasCli(): boolean {
  try {
    execFileSync('aws', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test("asks the caller's policy for each key, and the key that the bucket is encrypted with", () =>
  deploy(define, async ({ client }) => {
    const put = (Bucket: string, Key: string, ...allowed: Parameters<typeof client>) =>
      new S3Client(client(...allowed)).send(new PutObjectCommand({ Bucket, Key, Body }));
    await put('logs', 'shop/a', ON_LOGS);
    await assert.rejects(put('logs', 'other/a', ON_LOGS), { name: 'AccessDenied' });
    const onSealed = { ...ON_LOGS, Resource: 'arn:aws:s3:::sealed/*' };
    await assert.rejects(put('sealed', 'a', onSealed), { name: 'AccessDenied' });
    const byKey = {
      Effect: 'Allow',
      Action: 'kms:GenerateDataKey',
      Resource: '*',
      Condition: { StringEquals: { 'kms:EncryptionContext:aws:s3:arn': 'arn:aws:s3:::sealed' } },
    };
    const { ServerSideEncryption } = await put('sealed', 'a', [onSealed, byKey]);
    assert.equal(ServerSideEncryption, 'aws:kms');
    const list = new S3Client(client(ON_LOGS)).send(new ListObjectsV2Command({ Bucket: 'logs' }));
    await assert.rejects(list, { name: 'AccessDenied' });
  }));

test('an address that was signed puts that content under that key, once, and for as long as it holds', () =>
  deploy(define, async ({ aws, client, clock }) => {
    const { endpoint, region, credentials } = client(ON_LOGS);
    const signer = new ECSClient({ region, credentials }).config;
    process.env.AWS_ENDPOINT_URL_S3 = endpoint;
    const sign = async (key: string, by = signer) => {
      const addresses = await signUploads(
        { bucket: 'logs', urlSuffix: 'amazonaws.com' },
        [{ key, sha256: sha256Of(Body) }],
        by,
        { now: clock.now(), seconds: 600 },
      );
      const [upload = assert.fail()] = addresses.uploads;
      return { url: urlOf(addresses, upload), headers: upload.headers };
    };
    try {
      const address = await sign('shop/a.gz');
      const put = async (
        url: string,
        { body = Body, headers = address.headers }: { body?: Buffer; headers?: Record<string, string> } = {},
      ) => {
        const answered = await fetch(url, { method: 'PUT', body: new Uint8Array(body), headers });
        return `${answered.status} ${/<Code>(\w+)/.exec(await answered.text())?.[1] ?? ''}`.trim();
      };
      const { url } = address;
      assert.equal(await put(url, { body: Buffer.from('else') }), '400 BadDigest');
      assert.equal(await put(url.replace('a.gz', 'b.gz')), '403 SignatureDoesNotMatch');
      const { 'if-none-match': _, ...withoutCondition } = address.headers;
      assert.equal(await put(url, { headers: withoutCondition }), '403 SignatureDoesNotMatch');
      const withMore = { ...address.headers, 'x-amz-acl': 'public-read' };
      assert.equal(await put(url, { headers: withMore }), '403 SignatureDoesNotMatch');
      assert.equal(await put(url.replace(/X-Amz-Security-Token=[^&]*&/, '')), '403 InvalidAccessKeyId');
      assert.equal(await put((await sign('other/a.gz')).url), '403 AccessDenied');
      assert.equal(aws.s3.objects('logs').size, 0);
      assert.equal(await put(url), '200');
      assert.equal(await put(url), '412 PreconditionFailed');
      const later = await sign('shop/later.gz');
      // The clock of a caller that is no function does not count here: that of a function does.
      const role = aws.access.issue(
        {
          kind: 'identity',
          arn: 'arn:aws:sts::123456789012:assumed-role/r/s',
          identityArn: 'arn:aws:iam::123456789012:role/r',
          account: '123456789012',
          policies: [{ Version: '2012-10-17', Statement: ON_LOGS }],
        },
        { name: 'f', arn: 'arn:aws:lambda:eu-central-1:123456789012:function:f' },
      );
      const ofFunction = await sign('shop/c.gz', new ECSClient({ region, credentials: role }).config);
      await clock.runUntil(clock.now() + HOUR);
      assert.equal(await put(ofFunction.url), '403 SignatureDoesNotMatch', 'it has expired');
      assert.match(later.url, /^http:\/\/127\.0\.0\.1:\d+\/logs\/shop\/later\.gz\?/);
    } finally {
      delete process.env.AWS_ENDPOINT_URL_S3;
    }
    const real = await sign('shop/d.gz');
    assert.match(real.url, /^https:\/\/logs\.s3\.eu-central-1\.amazonaws\.com\/shop\/d\.gz\?/);
  }));
