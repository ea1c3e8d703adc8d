/** Events as a producer writes them. */

export function alert(id: string, fields: object = {}) {
  return {
    type: "risk_alert",
    id,
    timestamp: "2026-01-05T14:30:00Z",
    userId: "alice",
    sessionId: "s-17",
    alertLevel: "critical",
    alertType: "loss_limit",
    message: "Loss limit at 92 %",
    currentValue: 92.1,
    threshold: 90,
    ack: true,
    ...fields,
  };
}

export function trade(id: string, fields: object = {}) {
  return {
    type: "trade_executed",
    id,
    timestamp: "2026-01-05T14:30:00Z",
    userId: "alice",
    sessionId: "s-17",
    symbol: "SPY",
    side: "buy",
    quantity: 10,
    price: 512.31,
    orderId: `o-${id}`,
    ...fields,
  };
}

/** A quote whose price is the number at the end of its id. */
export function quote(id: string, fields: object = {}) {
  return { type: "market_data", id, timestamp: "2026-01-05T14:30:00Z", symbol: "SPY", last: Number(id.split("-")[1]), ...fields };
}
