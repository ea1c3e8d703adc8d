/** Generated from libs/contracts/schema by `npm run generate`; do not edit. */

export type Event =
  | SessionStarted
  | SessionStatus
  | SessionCompleted
  | AlgorithmDecision
  | TradeExecuted
  | PositionUpdate
  | PerformanceMilestone
  | RiskAlert
  | VolatilityAlert
  | EmergencyStop
  | SystemNotification
  | MarketData
  | NotificationRead
  | PreferencesChanged;
export type ClientFrame = Authenticate | Subscribe | Unsubscribe | Ack | Refresh | Command | Heartbeat;
export type ServerFrame =
  Welcome | Subscribed | Unsubscribed | Refreshed | Accepted | Acked | Draining | Heartbeat | ErrorFrame;

/**
 * A person acknowledged risk's alerts: their inbox has let go of them. Said by the edge.
 */
export interface AlertAcknowledged {
  type: "alert_acknowledged";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  sessionId: string;
  alertIds: string[];
}
/**
 * What the algorithm decided, and why.
 */
export interface AlgorithmDecision {
  type: "algorithm_decision";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  sessionId: string;
  algorithmId: string;
  decision: "buy" | "sell" | "hold" | "close_position";
  reasoning: string;
  confidence: number;
  marketData?: DecisionQuote;
}
/**
 * The market as the algorithm saw it.
 */
export interface DecisionQuote {
  symbol: string;
  price: number;
  volume?: number;
}
/**
 * The order to stop a session, to its user and to whatever executes for it.
 */
export interface EmergencyStop {
  type: "emergency_stop";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  sessionId: string;
  stopId?: string;
  mode: "halt" | "reduce_only" | "flatten";
  reason: string;
  /**
   * A rule or a user.
   */
  requestedBy?: string;
}
/**
 * An executor's word on a stop.
 */
export interface EmergencyStopAcknowledged {
  type: "emergency_stop_acknowledged";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  sessionId: string;
  stopId?: string;
  state: "acknowledged" | "completed" | "partial";
  executor?: string;
  message?: string;
}
/**
 * A person asks for a stop (a client's `command`).
 */
export interface EmergencyStopRequested {
  type: "emergency_stop_requested";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  sessionId: string;
  mode: "halt" | "reduce_only" | "flatten";
  reason?: string;
  requestedBy?: string;
  idempotencyKey: string;
}
/**
 * One instrument's newest quote.
 */
export interface MarketData {
  type: "market_data";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  symbol: string;
  last: number;
  bid?: number;
  ask?: number;
  volume?: number;
  /**
   * Since the open, %.
   */
  change?: number;
  asOf?: string;
  stale?: boolean;
  snapshot?: true;
}
/**
 * What is below its type's level is kept in history, but not shown at once.
 */
export interface MinimumLevels {
  risk_alert: "info" | "warning" | "critical";
  volatility_alert: "info" | "warning" | "critical";
  system_notification: "info" | "warning" | "critical";
}
/**
 * Notifications were read (or archived) on one of the user's devices.
 *
 * `ids` were; with `all` everything until then was read, or everything archived that is
 * neither critical nor an emergency: those are archived by their ids only.
 */
export interface NotificationRead {
  type: "notification_read";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  ids?: string[];
  all?: boolean;
  archived?: boolean;
  /**
   * After the change; absolute.
   */
  unreadCount: number;
}
/**
 * A session reached something worth telling.
 */
export interface PerformanceMilestone {
  type: "performance_milestone";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  sessionId: string;
  milestone: string;
  value: number;
  message?: string;
}
/**
 * A position changed.
 */
export interface PositionUpdate {
  type: "position_update";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  sessionId: string;
  symbol: string;
  /**
   * Negative when short.
   */
  quantity: number;
  averagePrice?: number;
  marketPrice?: number;
  unrealizedPnL?: number;
}
/**
 * A user's preferences, whole. They never apply to critical and emergency messages.
 */
export interface Preferences {
  minimumLevels: MinimumLevels;
  /**
   * Types that are not shown at once.
   */
  muted: ("algorithm_decision" | "trade_executed" | "performance_milestone")[];
  quietHours: QuietHours;
  /**
   * Quotes of a symbol per second and connection at most; null: all of them.
   */
  marketDataRate?: number;
  /**
   * Emergencies are always shown; nobody can change that.
   */
  emergency: true;
  /**
   * Counts the changes. The server's; not taken from a client.
   */
  version: number;
}
/**
 * When of all notifications only critical ones are shown at once.
 *
 * From `start` to `end` on the clocks of `timeZone`, also across midnight; the whole day
 * when the two are the same.
 */
export interface QuietHours {
  enabled: boolean;
  start: string;
  end: string;
  timeZone: string;
}
/**
 * The user's notification preferences, whole, after a change.
 *
 * `snapshot`: the answer to an edge that asked what they are.
 */
export interface PreferencesChanged {
  type: "preferences_changed";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  preferences: Preferences;
  snapshot?: true;
}
/**
 * A limit is near or past. Warning is recent; critical and emergency stay until acked.
 *
 * What risk raises names its episode: whatever is told of one alarm, from its first level until it
 * is over, has the same `episodeId`. Its critical and emergency alerts are told again, as
 * messages of their own with `repeat`, until somebody acknowledged any of them.
 */
export interface RiskAlert {
  type: "risk_alert";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  sessionId?: string;
  alertLevel: "warning" | "critical" | "emergency";
  alertType: "loss_limit" | "time_limit" | "volatility" | "correlation" | "data_stale" | "stop_unconfirmed";
  message: string;
  currentValue: number;
  threshold: number;
  symbol?: string;
  /**
   * The alarm that it belongs to; set by risk.
   */
  episodeId?: string;
  /**
   * Told again for the n-th time: nobody acknowledged it.
   */
  repeat?: number;
}
/**
 * A session ended.
 */
export interface SessionCompleted {
  type: "session_completed";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  sessionId: string;
  status: "completed" | "expired" | "emergency_stopped";
  reason?: string;
  summary?: SessionSummary;
}
/**
 * What came of a session.
 */
export interface SessionSummary {
  finalPnL: number;
  totalTrades?: number;
  winRate?: number;
  maxDrawdown?: number;
  durationS?: number;
}
/**
 * A session's figures at one instant.
 */
export interface SessionMetrics {
  currentPnL: number;
  realizedPnL?: number;
  unrealizedPnL?: number;
  equity?: number;
  totalTrades?: number;
  lossLimitUtilization?: number;
  /**
   * Since the start, s.
   */
  timeElapsed?: number;
  performanceScore?: number;
}
/**
 * A session began; its limits arm the risk rules.
 */
export interface SessionStarted {
  type: "session_started";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  sessionId: string;
  algorithmId?: string;
  symbols?: string[];
  initialEquity?: number;
  /**
   * Loss that ends the session.
   */
  lossLimit?: number;
  /**
   * Age that ends the session, s.
   */
  timeLimitS?: number;
}
/**
 * A session's state and figures; the newest value is the one that counts.
 */
export interface SessionStatus {
  type: "session_status";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  sessionId: string;
  status: "active" | "paused" | "completed" | "expired" | "emergency_stopped";
  data: SessionMetrics;
  snapshot?: true;
}
/**
 * A notice from those who run the system, to one user or to everyone (`userId: all`).
 */
export interface SystemNotification {
  type: "system_notification";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  /**
   * A user, or 'all' for everyone.
   */
  userId: string;
  level: "info" | "warning" | "critical";
  category: "system" | "maintenance";
  title: string;
  message: string;
  startsAt?: string;
  endsAt?: string;
}
/**
 * An order was filled.
 */
export interface TradeExecuted {
  type: "trade_executed";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId: string;
  sessionId: string;
  symbol: string;
  side: "buy" | "sell";
  quantity: number;
  price: number;
  orderId: string;
  fee?: number;
  realizedPnL?: number;
}
/**
 * An instrument moves more than it used to. Without `userId` it is for all who watch it.
 */
export interface VolatilityAlert {
  type: "volatility_alert";
  id: string;
  timestamp: string;
  /**
   * True: kept until its user acknowledged it (lifts recent to critical).
   */
  ack?: boolean;
  userId?: string;
  sessionId?: string;
  symbol: string;
  alertLevel: "warning" | "critical" | "emergency";
  message: string;
  currentValue: number;
  threshold: number;
}
/**
 * The handler returned for these ids, or for all up to one. Idempotent.
 */
export interface Ack {
  type: "ack";
  ids?: string[];
  upTo?: string;
}
/**
 * First message of a client that could not send a header.
 */
export interface Authenticate {
  type: "authenticate";
  token: string;
  clientId?: string;
  inbox?: "own";
  resume?: boolean;
}
/**
 * Please do. `accepted` means that the broker confirmed it.
 */
export interface Command {
  type: "command";
  /**
   * Echoed in the reply.
   */
  id?: number | string;
  command: "emergency_stop";
  sessionId: string;
  userId?: string;
  idempotencyKey: string;
  mode?: "halt" | "reduce_only" | "flatten";
  reason?: string;
}
/**
 * Still here, from either side.
 */
export interface Heartbeat {
  type: "heartbeat";
}
/**
 * A newer token for the same subject.
 */
export interface Refresh {
  type: "refresh";
  /**
   * Echoed in the reply.
   */
  id?: number | string;
  token: string;
}
/**
 * Ask for channels; subscribing twice is harmless.
 */
export interface Subscribe {
  type: "subscribe";
  /**
   * Echoed in the reply.
   */
  id?: number | string;
  channels: string[];
}
/**
 * Give channels up.
 */
export interface Unsubscribe {
  type: "unsubscribe";
  /**
   * Echoed in the reply.
   */
  id?: number | string;
  channels: string[];
}
/**
 * Reply to `command`.
 */
export interface Accepted {
  type: "accepted";
  /**
   * Echoed in the reply.
   */
  id?: number | string;
  idempotencyKey: string;
}
/**
 * Another device of the user acknowledged these.
 */
export interface Acked {
  type: "acked";
  ids: string[];
}
/**
 * The edge will close; come back at a random instant within the window.
 */
export interface Draining {
  type: "draining";
  windowMs: number;
}
/**
 * A request was not carried out; the connection stays.
 */
export interface ErrorFrame {
  type: "error";
  /**
   * Echoed in the reply.
   */
  id?: number | string;
  code: "forbidden" | "rate_limited" | "bad_message" | "unknown_channel" | "too_many_channels" | "unavailable";
  message: string;
  field?: string;
  retryable: boolean;
  retryAfterMs?: number;
}
/**
 * What a connection may do.
 */
export interface Limits {
  messagesPerSecond: number;
  channels: number;
  messageBytes: number;
}
/**
 * What waited for the client, and whether something is missing for good.
 */
export interface Recovered {
  critical: number;
  recent: number;
  gap: boolean;
}
/**
 * Reply to `refresh`.
 */
export interface Refreshed {
  type: "refreshed";
  /**
   * Echoed in the reply.
   */
  id?: number | string;
  tokenExpiresIn: number;
}
/**
 * A channel that was not given.
 */
export interface Rejected {
  channel: string;
  code: string;
}
/**
 * Reply to `subscribe`; a snapshot of each channel follows where there is one.
 */
export interface Subscribed {
  type: "subscribed";
  /**
   * Echoed in the reply.
   */
  id?: number | string;
  channels: string[];
  rejected: Rejected[];
}
/**
 * Reply to `unsubscribe`.
 */
export interface Unsubscribed {
  type: "unsubscribed";
  /**
   * Echoed in the reply.
   */
  id?: number | string;
  channels: string[];
}
/**
 * First message of the server; the connection is authenticated.
 */
export interface Welcome {
  type: "welcome";
  connectionId: string;
  userId: string;
  clientId?: string;
  heartbeatInterval: number;
  serverTime: string;
  tokenExpiresIn: number;
  channels: string[];
  recovered: Recovered;
  limits: Limits;
}

/** Class of service of each event type. */
export const QUALITY = {
  algorithm_decision: "recent",
  emergency_stop: "critical",
  market_data: "live",
  notification_read: "live",
  performance_milestone: "recent",
  position_update: "recent",
  preferences_changed: "live",
  risk_alert: "recent",
  session_completed: "recent",
  session_started: "recent",
  session_status: "live",
  system_notification: "recent",
  trade_executed: "recent",
  volatility_alert: "recent",
} as const;

/** Why a connection ended. The range is the rule: 40xx reconnect, 45xx stop. */
export const CloseCode = {
  DRAINING: 4000,
  SLOW_CONSUMER: 4001,
  NO_HEARTBEAT: 4003,
  TOKEN_EXPIRED: 4004,
  OVERLOADED: 4005,
  RATE_LIMITED: 4006,
  TOKEN_REVOKED: 4007,
  INVALID_TOKEN: 4500,
  BAD_MESSAGE: 4501,
  NO_AUTHENTICATION: 4502,
  DISCONNECTED_BY_OPERATOR: 4503,
  TOO_MANY_CONNECTIONS: 4504,
  FORBIDDEN: 4505,
  REPLACED: 4506,
} as const;
