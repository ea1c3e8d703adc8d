/** React hooks on a Tapewire client. */

export { TapewireProvider } from "./provider.tsx";
export type { TapewireProviderProps } from "./provider.tsx";
export { useTapewire } from "./context.ts";
export { useWebSocketConnection } from "./useWebSocketConnection.ts";
export { useRealTimeMarketData } from "./useRealTimeMarketData.ts";
export { useRealTimeSessionStatus, useRealTimeSessions } from "./useRealTimeSessionStatus.ts";
export { useAlgorithmDecisions } from "./useAlgorithmDecisions.ts";
export { useRealTimeEvent } from "./useRealTimeEvent.ts";
export { useRealTimeNotifications } from "./useRealTimeNotifications.ts";
export { isOld } from "./stores/freshness.ts";
export { levelOf, notificationOf } from "./stores/notification.ts";
export type { Freshness } from "./stores/freshness.ts";
export type { Level, Notification, NotificationMessage } from "./stores/notification.ts";
export type { NotificationApi, NotificationPage, Notifications } from "./stores/notifications.ts";
export type { Quote, Quotes } from "./stores/market.ts";
export type { Session } from "./stores/sessions.ts";
export type { UseRealTimeNotifications } from "./useRealTimeNotifications.ts";
export type { UseWebSocketConnection } from "./useWebSocketConnection.ts";
export { deskNotifications } from "./desk.ts";
export type { DeskOptions } from "./desk.ts";
