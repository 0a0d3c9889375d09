import type { Finding } from '../../checks/mistakes.ts';
import { valueText } from '../../checks/mistakes.ts';
import type { Check } from './check.ts';

/** What no single field of `upgradeCheck` can say. */
export const UPGRADE_CHECK_CHECKS: Check[] = [
  {
    needs: ['databases', 'upgradeCheck'],
    find({ databases, upgradeCheck }) {
      if (!upgradeCheck || databases) return [];
      return [
        {
          field: ['upgradeCheck'],
          problem: 'has no databases to look at; it must come with "databases" of the deployment.',
        },
      ];
    },
  },
  {
    needs: ['databases', 'upgradeCheck.storage'],
    find({ databases = [], upgradeCheck }) {
      const hosts = [...new Set(databases.map(({ host }) => host))];
      if (hosts.length === 0) return [];
      const found: Finding[] = [];
      const named = new Set<string>();
      for (const [index, { host }] of (upgradeCheck?.storage ?? []).entries()) {
        const field = ['upgradeCheck', 'storage', index, 'host'];
        const [onlyHost] = hosts.length === 1 ? hosts : [];
        const server = host ?? onlyHost;
        if (server === undefined)
          found.push({ field, problem: `is missing; it must be one of ${hosts.join(', ')}.` });
        else if (!hosts.includes(server))
          found.push({
            field,
            problem: `is ${valueText(server)}; it must be a host of databases: ${hosts.join(', ')}.`,
          });
        else if (named.has(server))
          found.push({ field, problem: `is ${valueText(server)} a second time; it must be named once.` });
        else named.add(server);
      }
      return found;
    },
  },
];
