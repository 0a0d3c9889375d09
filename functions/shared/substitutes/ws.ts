/** In place of `ws`, which has a server besides: the client, all that our functions need of it. */
// @ts-expect-error its types stand elsewhere, and nobody reads them here.
export { default as WebSocket } from 'ws/lib/websocket.js';
