/** Tapewire's client: live trading events over one connection that comes back. */

export { WebSocketClient } from "./client.ts";
export type { ClientOptions, SendOptions, StopRequest } from "./options.ts";
export type { ChannelReply } from "./channels.ts";
export type { FallbackOptions } from "./ladder.ts";
export type { ConnectionInfo, ConnectionState, TransportName } from "./state.ts";
export type { GetToken, TokenRequest } from "./token.ts";
export type { Handler, HandlerOptions } from "./handlers.ts";
export type { OpenTransport, Transport, TransportEvents, TransportRequest } from "./transport.ts";
export type { KeyValueStore, Platform, WakeSignal } from "./platform.ts";
export type { WebSocketConstructor, WebSocketLike } from "./websocket.ts";
export type { Delivered, Message, MessageOf, MessageType, Quality, ServerMessage, UnknownMessage } from "./messages.ts";
export type * from "./contracts.gen.ts";
export { CloseCode, mayReconnect } from "./close.ts";
export { ConnectionLost, NotConnected, RequestRefused, TapewireError, Timeout } from "./errors.ts";
export { memoryKey } from "./identity.ts";
export { qualityOf } from "./messages.ts";
