import { AwsError } from '../aws-error.ts';

export function client(message: string): AwsError {
  return new AwsError('ClientException', message);
}

export function invalid(message: string): AwsError {
  return new AwsError('InvalidParameterException', message);
}
