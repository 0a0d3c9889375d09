import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type {
  GetObjectCommandInput,
  HeadObjectCommandInput,
  ListObjectsV2CommandInput,
  PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import * as client from '@aws-sdk/client-s3';
import { AwsError } from '../aws-error.ts';
import { type Ask, type Call, type Cloud, type Operations, operation, type Service } from '../cloud.ts';
import type { Place } from '../place.ts';
import type { Request } from '../wire/shape.ts';

/** What a bucket keeps under a key. */
export interface StoredObject {
  bytes: Buffer;
  /** Epoch milliseconds on the rehearsal's clock. */
  storedAt: number;
  /** In base64, as the request gave them and S3 found them to be. */
  checksums: { ChecksumSHA256?: string; ChecksumCRC32?: string };
  /** The KMS key that the bucket encrypts with, if it has one. */
  keyId?: string;
}

interface Bucket extends Place {
  name: string;
  arn: string;
  keyId?: string;
  /** The encryption context names the bucket in place of the object. */
  hasBucketKey: boolean;
  objects: Map<string, StoredObject>;
}

/** The checksums that are understood, by their members; others are refused, not believed. */
const CHECKSUMS = {
  ChecksumSHA256: (bytes: Buffer) => createHash('sha256').update(bytes).digest('base64'),
  ChecksumCRC32: (bytes: Buffer) => {
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(bytes));
    return sum.toString('base64');
  },
};
const OTHER_CHECKSUMS = ['ChecksumCRC32C', 'ChecksumCRC64NVME', 'ChecksumSHA1', 'ContentMD5'] as const;
/** What ListObjectsV2 gives in one answer. */
const PAGE = 1000;

/** Amazon S3: buckets whose objects lie in memory. Addressed by paths, as the SDK does at an address without names. */
export class S3 implements Service {
  readonly signingName = 's3';
  readonly client = client;
  readonly accessDenied = 'AccessDenied';
  readonly namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';
  readonly codes = {
    InvalidSignatureException: 'SignatureDoesNotMatch',
    UnrecognizedClientException: 'InvalidAccessKeyId',
  };
  readonly operations: Operations;
  readonly #aws: Cloud;
  readonly #buckets = new Map<string, Bucket>();

  constructor(aws: Cloud) {
    this.#aws = aws;
    for (const { name, account, region, properties } of aws.deployed.ofType('AWS::S3::Bucket')) {
      const [rule] =
        properties.child('BucketEncryption')?.children('ServerSideEncryptionConfiguration') ?? [];
      const keyId = rule?.child('ServerSideEncryptionByDefault')?.text('KMSMasterKeyID', '') ?? '';
      this.addBucket({
        name,
        account,
        region,
        hasBucketKey: rule?.boolean('BucketKeyEnabled', false) ?? false,
        ...(keyId !== '' && { keyId }),
      });
    }
    for (const { properties } of aws.deployed.ofType('AWS::S3::BucketPolicy'))
      aws.access.attach(`arn:aws:s3:::${properties.text('Bucket')}`, properties.policy('PolicyDocument'));
    this.operations = {
      PutObject: operation(onObject<PutObjectCommandInput>('s3:PutObject', putConditions), (input, call) =>
        this.#put(input, call),
      ),
      GetObject: operation(onObject<GetObjectCommandInput>('s3:GetObject'), (input, call) => {
        const { object, bucket } = this.#object(input, call);
        this.#checkKey(bucket, input.Key ?? '', 'kms:Decrypt', call);
        return { ...described(object, input.ChecksumMode === 'ENABLED'), Body: object.bytes };
      }),
      // HeadObject has no permission of its own.
      HeadObject: operation(onObject<HeadObjectCommandInput>('s3:GetObject'), (input, call) =>
        described(this.#object(input, call).object, input.ChecksumMode === 'ENABLED'),
      ),
      ListObjectsV2: operation(
        ({ Bucket = '', Prefix }: ListObjectsV2CommandInput): Ask[] => [
          {
            action: 's3:ListBucket',
            resource: `arn:aws:s3:::${Bucket}`,
            conditions: { 's3:prefix': Prefix ?? '' },
          },
        ],
        (input, call) => this.#list(input, call),
      ),
    };
  }

  /** A bucket that no template has. */
  addBucket({
    hasBucketKey = false,
    ...bucket
  }: Place & { name: string; keyId?: string; hasBucketKey?: boolean }): void {
    this.#buckets.set(bucket.name, {
      ...bucket,
      hasBucketKey,
      arn: `arn:aws:s3:::${bucket.name}`,
      objects: new Map(),
    });
  }

  /** What a bucket holds, by key. */
  objects(bucket: string): ReadonlyMap<string, StoredObject> {
    return this.#buckets.get(bucket)?.objects ?? new Map();
  }

  /**
   * A request whose path begins with the bucket, as one of an operation. `x-id`, by which the SDK says which of several at one
   * path it means, S3 does not look at, and others' clients do not send.
   */
  addressed(request: Request): { request: Request; members: Record<string, string> } {
    const [, bucket = '', key = ''] = /^\/([^/]*)\/?(.*)$/s.exec(request.url.pathname) ?? [];
    const url = new URL(`/${key}`, request.url);
    url.search = request.url.search;
    const operations: Record<string, string | undefined> = { PUT: 'PutObject', GET: 'GetObject' };
    const name = key === '' || request.headers['x-amz-copy-source'] ? undefined : operations[request.method];
    if (name !== undefined && !url.searchParams.has('x-id')) url.searchParams.set('x-id', name);
    return { request: { ...request, url }, members: { Bucket: decodeURIComponent(bucket) } };
  }

  #put(input: PutObjectCommandInput, call: Call) {
    const bucket = this.#bucket(input.Bucket, call);
    const key = input.Key ?? '';
    const bytes = Buffer.from(input.Body instanceof Uint8Array ? input.Body : '');
    if (input.ContentEncoding?.includes('aws-chunked') || OTHER_CHECKSUMS.some((name) => input[name]))
      throw new AwsError(
        'NotImplemented',
        'the stand-in knows whole bodies, and the checksums SHA256 and CRC32',
      );
    const checksums: StoredObject['checksums'] = {};
    for (const name of ['ChecksumSHA256', 'ChecksumCRC32'] as const) {
      const given = input[name];
      if (given === undefined) continue;
      const found = CHECKSUMS[name](bytes);
      if (found !== given)
        throw new AwsError(
          'BadDigest',
          `The ${name.slice('Checksum'.length)} you specified did not match the calculated checksum.`,
        );
      checksums[name] = found;
    }
    // In S3's own words.
    if (input.IfNoneMatch !== undefined && input.IfNoneMatch !== '*')
      throw new AwsError(
        'NotImplemented',
        'A header you provided implies functionality that is not implemented',
      );
    if (input.IfNoneMatch === '*' && bucket.objects.has(key))
      throw new AwsError(
        'PreconditionFailed',
        'At least one of the pre-conditions you specified did not hold',
      );
    this.#checkKey(bucket, key, 'kms:GenerateDataKey', call);
    const { keyId } = bucket;
    const object = { bytes, checksums, storedAt: this.#aws.clock.now(), ...(keyId && { keyId }) };
    bucket.objects.set(key, object);
    const { ETag, ServerSideEncryption, SSEKMSKeyId } = described(object, false);
    return { ETag, ServerSideEncryption, SSEKMSKeyId, ...told(checksums) };
  }

  #list(input: ListObjectsV2CommandInput, call: Call) {
    const { Prefix = '', MaxKeys = PAGE, ContinuationToken, StartAfter, Delimiter } = input;
    if (Delimiter) throw new AwsError('NotImplemented', 'the stand-in lists without a delimiter');
    const { objects, name } = this.#bucket(input.Bucket, call);
    const after = ContinuationToken ?? StartAfter ?? '';
    const keys = [...objects.keys()].filter((key) => key.startsWith(Prefix) && key > after).sort();
    const page = keys.slice(0, Math.min(MaxKeys, PAGE));
    const last = page.at(-1);
    return {
      Name: name,
      Prefix,
      MaxKeys,
      KeyCount: page.length,
      IsTruncated: page.length < keys.length,
      ...(page.length < keys.length && last !== undefined && { NextContinuationToken: last }),
      Contents: page.flatMap((Key) => {
        const object = objects.get(Key);
        if (!object) return [];
        const { LastModified, ETag } = described(object, false);
        return [{ Key, LastModified, ETag, Size: object.bytes.length, StorageClass: 'STANDARD' }];
      }),
    };
  }

  #object(
    { Bucket, Key = '' }: { Bucket: string | undefined; Key: string | undefined },
    call: Call,
  ): { bucket: Bucket; object: StoredObject } {
    const bucket = this.#bucket(Bucket, call);
    const object = bucket.objects.get(Key);
    if (!object) throw new AwsError('NoSuchKey', 'The specified key does not exist.');
    return { bucket, object };
  }

  #bucket(name: string | undefined, { account, region }: Call): Bucket {
    const bucket = this.#buckets.get(name ?? '');
    if (!bucket) throw new AwsError('NoSuchBucket', 'The specified bucket does not exist');
    if (bucket.region !== region)
      throw new AwsError(
        'AuthorizationHeaderMalformed',
        `The authorization header is malformed; the region '${region}' is wrong; expecting '${bucket.region}'`,
      );
    // Its policy would have to let the other account in; the stand-in judges only what is in one.
    if (bucket.account !== account) throw new AwsError('AccessDenied', 'Access Denied');
    return bucket;
  }

  #checkKey({ keyId, arn, hasBucketKey }: Bucket, key: string, action: string, call: Call): void {
    const refused = this.#aws.access.checkKey(
      keyId,
      call.caller.principal,
      [action],
      {
        'kms:ViaService': `s3.${call.region}.amazonaws.com`,
        'kms:EncryptionContext:aws:s3:arn': hasBucketKey ? arn : `${arn}/${key}`,
      },
      call,
      call.caller.function?.name,
    );
    if (refused !== undefined) throw new AwsError('AccessDenied', refused);
  }
}

function onObject<Input extends { Bucket: string | undefined; Key: string | undefined }>(
  action: string,
  conditions: (input: Input) => NonNullable<Ask['conditions']> = () => ({}),
) {
  return (input: Input): Ask[] => [
    {
      action,
      resource: `arn:aws:s3:::${input.Bucket}/${input.Key}`,
      conditions: conditions(input),
    },
  ];
}

function putConditions({ IfNoneMatch, ServerSideEncryption }: PutObjectCommandInput) {
  return {
    's3:if-none-match': IfNoneMatch,
    's3:x-amz-server-side-encryption': ServerSideEncryption,
  };
}

function described({ bytes, storedAt, checksums, keyId }: StoredObject, withChecksums: boolean) {
  return {
    ContentLength: bytes.length,
    LastModified: new Date(storedAt),
    ETag: `"${createHash('md5').update(bytes).digest('hex')}"`,
    ContentType: 'binary/octet-stream',
    ServerSideEncryption: keyId === undefined ? ('AES256' as const) : ('aws:kms' as const),
    ...(keyId !== undefined && { SSEKMSKeyId: keyId }),
    ...(withChecksums && told(checksums)),
  };
}

/** Of what is put in one piece, a checksum is of all of it. */
function told(checksums: StoredObject['checksums']) {
  return { ...checksums, ...(Object.keys(checksums).length > 0 && { ChecksumType: 'FULL_OBJECT' as const }) };
}
