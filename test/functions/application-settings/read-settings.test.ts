import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  differences,
  requestsFor,
  watchedSettings,
} from '../../../functions/application-settings/read-settings.ts';

/** Meta's sample, as an older version shows its numbers. */
const ALL = {
  callback_backoff_delay_ms: '3000',
  callback_persist: true,
  garbagecollector_enable: { media: false, messages: true },
  media: { auto_download: ['video', 'image'], providers: 'kept by others' },
  unhealthy_interval: 30,
  wa_id: '16315551019',
  webhooks: { url: 'https://webhook.example/secret', max_concurrent_requests: 12, message: { read: false } },
};

describe('of WebApp’s settings', () => {
  it('those are kept that are watched, and nothing of the webhook’s URL or the number', () => {
    assert.deepEqual(watchedSettings(ALL), {
      'garbagecollector_enable.messages': true,
      'garbagecollector_enable.media': false,
      'media.auto_download': ['image', 'video'],
      callback_persist: true,
      callback_backoff_delay_ms: 3000,
      'webhooks.max_concurrent_requests': 12,
      'webhooks.message.read': false,
      unhealthy_interval: 30,
    });
  });

  for (const [what, odd] of Object.entries({
    'a flag that is a text': { callback_persist: 'true' },
    'a number that is none': { unhealthy_interval: '30 s' },
    'a list that is a text': { media: { auto_download: 'image' } },
    'a list of something else': { media: { auto_download: [1] } },
    'a list of more than there can be': { media: { auto_download: Array(51).fill('image') } },
    'words of any length': { media: { auto_download: ['x'.repeat(51)] } },
    'a list in place of an object': { webhooks: [{ max_concurrent_requests: 6 }] },
    'nothing in place of an object': { garbagecollector_enable: null },
  }))
    it(`${what} counts as none`, () => assert.deepEqual(watchedSettings(odd), {}));
});

describe('what differs', () => {
  const values = watchedSettings(ALL);

  it('is what is wanted and has another value, or none; the order of a list says nothing', () => {
    const wanted = {
      'media.auto_download': ['image', 'video', 'image'],
      callback_persist: false,
      pass_through: false,
      unhealthy_interval: 30,
    };
    assert.deepEqual(differences(wanted, values), [
      { setting: 'callback_persist', wanted: false, value: true },
      { setting: 'pass_through', wanted: false, value: undefined },
    ]);
  });

  it('is sent by one request for each field, with what stands beside it in its object as it was', () => {
    const changes = differences(
      {
        'webhooks.max_concurrent_requests': 24,
        'webhooks.message.read': true,
        'media.auto_download': [],
        callback_persist: false,
      },
      values,
    );
    const before = structuredClone(ALL);
    assert.deepEqual(requestsFor(changes, ALL), [
      {
        settings: ['media.auto_download'],
        body: { media: { auto_download: [], providers: 'kept by others' } },
      },
      { settings: ['callback_persist'], body: { callback_persist: false } },
      {
        settings: ['webhooks.max_concurrent_requests', 'webhooks.message.read'],
        body: {
          webhooks: {
            url: 'https://webhook.example/secret',
            max_concurrent_requests: 24,
            message: { read: true },
          },
        },
      },
    ]);
    assert.deepEqual(ALL, before);
  });

  it('is put into an object that WebApp does not have', () => {
    const changes = differences({ 'garbagecollector_enable.messages': false }, {});
    assert.deepEqual(requestsFor(changes, {}), [
      {
        settings: ['garbagecollector_enable.messages'],
        body: { garbagecollector_enable: { messages: false } },
      },
    ]);
  });
});
