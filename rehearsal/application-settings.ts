import type { PlayedDeployment } from './world.ts';

/** As the sample's configuration has it set. */
const DOWNLOADED = { auto_download: ['audio', 'document', 'image', 'voice'] };

/** What did not come of a good night in WebApp's own settings, by what it is told itself. */
export function settingsMismatches(
  deployment: PlayedDeployment | undefined,
  figures: Record<string, number> | undefined,
): string[] {
  if (!deployment?.jobs.includes('application-settings')) return [];
  const { name, webApp } = deployment;
  const { media, webhooks } = webApp.settings.values;
  const came = {
    'settings that were set, in the report': figures?.settingsChanged,
    'what WebApp downloads': media,
    'its settings of webhooks': Object.keys(webhooks ?? {}),
  };
  const wanted = {
    'settings that were set, in the report': 1,
    'what WebApp downloads': DOWNLOADED,
    'its settings of webhooks': ['url', 'max_concurrent_requests', 'message'],
  };
  return Object.entries(wanted).flatMap(([what, value]) => {
    const [expected, found] = [value, came[what as keyof typeof came]].map((each) => JSON.stringify(each));
    return expected === found ? [] : [`${name}: ${what}: expected ${expected}, came ${found}.`];
  });
}
