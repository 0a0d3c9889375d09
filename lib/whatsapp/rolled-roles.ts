/**
 * The parts of a deployment that are rolled one after the other; `others` are services that are not the client's. WebApps
 * first: of those, one that does not come up is missed the least. CoreApps serve even without Masters, so they come after
 * them.
 */
export const ROLLED_ROLES = ['webapp', 'master', 'coreapp', 'others'] as const;
