/** A deployment's name: leaves room for the job and the time in the 64 characters that Lambda allows for a run's name. */
export const DEPLOYMENT_NAME = /^[a-z][a-z0-9-]{0,23}$/;
