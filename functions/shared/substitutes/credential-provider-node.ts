/**
 * In place of `@aws-sdk/credential-provider-node`: Lambda gives a function its role's credentials in the environment. What that
 * package has besides, for profiles, SSO and instances, takes a seventh of a small bundle.
 */
export { fromEnv as defaultProvider } from '@aws-sdk/credential-provider-env';
