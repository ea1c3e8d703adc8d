import { cleanup, fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { latestTellings } from "@tapewire/client/react";
import { alert, settle, stage } from "../testing.tsx";
import { AlertPanel } from "./AlertPanel.tsx";
import { CriticalAlerts } from "./CriticalAlerts.tsx";
import { measureOf, openAlerts } from "./text.ts";

afterEach(cleanup);

const dialog = () => screen.queryByRole("alertdialog");
const button = (name: string) => screen.getByRole<HTMLButtonElement>("button", { name });

describe("a critical alert", () => {
  it("asks_for_acknowledgement_with_the_focus_on_it_and_is_settled_by_it", async () => {
    const { server } = await stage(<CriticalAlerts />);
    expect(dialog()).toBeNull();
    server.publish(alert("a-1"));
    await settle();
    expect(within(dialog()!).getByText("Loss limit (a-1)")).toBeTruthy();
    expect(document.activeElement).toBe(button("Acknowledge"));
    await settle(650);
    fireEvent.click(button("Acknowledge"));
    await settle();
    expect(dialog()).toBeNull();
    expect(server.unacked).toEqual([]);
    expect(document.title).toBe("Tapewire");
  });

  it("takes_no_click_that_was_meant_for_what_it_covered", async () => {
    const { server } = await stage(<CriticalAlerts settleMs={60_000} />);
    server.publish(alert("a-1"));
    await settle();
    fireEvent.click(button("Acknowledge"));
    await settle();
    expect(dialog()).toBeTruthy();
    expect(server.unacked).toEqual(["a-1"]);
  });

  it("that_is_put_aside_leaves_a_banner_and_a_new_one_opens_the_dialog_again", async () => {
    const { server } = await stage(<CriticalAlerts />);
    server.publish(alert("a-1"));
    await settle();
    fireEvent.click(button("Later"));
    await settle();
    expect(dialog()).toBeNull();
    expect(screen.getByTestId("critical-banner").textContent).toContain("1 critical alert waits");
    expect(document.title).toBe("(1) Tapewire");
    expect(server.unacked).toEqual(["a-1"]);
    server.publish(alert("e-1", { alertLevel: "emergency" }));
    await settle();
    expect(within(dialog()!).getByText("Loss limit (e-1)")).toBeTruthy();
    expect(within(dialog()!).getByText("and 1 more")).toBeTruthy();
  });

  it("acknowledged_on_another_device_goes_away_here", async () => {
    const { server } = await stage(<CriticalAlerts />);
    server.publish(alert("a-1"));
    await settle();
    server.ackElsewhere("a-1");
    await settle();
    expect(dialog()).toBeNull();
  });

  it("cannot_be_acknowledged_without_a_connection", async () => {
    const { server } = await stage(<CriticalAlerts />);
    server.publish(alert("a-1"));
    await settle(700);
    server.stop();
    await settle();
    expect(screen.getByText(/There is no connection/)).toBeTruthy();
    fireEvent.click(button("Acknowledge"));
    server.start();
    await waitFor(() => expect(screen.queryByText(/There is no connection/)).toBeNull(), { timeout: 10_000 });
    expect(server.unacked).toEqual(["a-1"]);
    fireEvent.click(button("Acknowledge"));
    await settle();
    expect(server.unacked).toEqual([]);
  });

  it("is_all_settled_at_once_when_asked_for", async () => {
    const { server } = await stage(<CriticalAlerts />);
    for (const id of ["a-1", "a-2", "a-3"]) server.publish(alert(id));
    await settle(700);
    fireEvent.click(button("Acknowledge all 3"));
    await settle(150);
    expect(server.unacked).toEqual([]);
  });
});

describe("an alarm that is told again", () => {
  it("asks_again_counts_once_and_is_settled_whole", async () => {
    const { server } = await stage(
      <>
        <CriticalAlerts />
        <AlertPanel />
      </>,
    );
    const alarm = { episodeId: "e-1" };
    server.publish(alert("a-1", alarm));
    await settle();
    fireEvent.click(button("Later"));
    await settle();
    server.publish(alert("a-2", { ...alarm, repeat: 1, timestamp: new Date(Date.now() + 1000).toISOString() }));
    server.publish(alert("a-3", { ...alarm, repeat: 2, timestamp: new Date(Date.now() + 2000).toISOString() }));
    await settle(700);
    expect(within(dialog()!).getByText("Loss limit (a-3)")).toBeTruthy();
    expect(screen.getByTestId("critical-banner").textContent).toContain("1 critical alert waits");
    expect(screen.getAllByTestId("alert").map(({ textContent }) => textContent)).toEqual([expect.stringContaining("told 3 times")]);
    fireEvent.click(button("Acknowledge"));
    await settle(150);
    expect(server.unacked).toEqual([]);
    expect(dialog()).toBeNull();
  });

  it("at_another_level_asks_for_itself", async () => {
    const { server } = await stage(<CriticalAlerts />);
    server.publish(alert("a-1", { episodeId: "e-1" }));
    server.publish(alert("a-2", { episodeId: "e-1", alertLevel: "emergency" }));
    await settle(700);
    fireEvent.click(button("Acknowledge"));
    await settle();
    expect(server.unacked).toEqual(["a-1"]);
  });
});

describe("many alerts at once", () => {
  it("are_told_by_kind_and_count", async () => {
    const { server } = await stage(<CriticalAlerts />);
    server.publish(alert("e-0", { alertLevel: "emergency" }));
    for (let number = 0; number < 40; number += 1) server.publish(alert(`a-${number}`, { sessionId: `s-${number % 3}` }));
    server.publish(alert("t-1", { alertType: "time_limit", timestamp: new Date(Date.now() + 1000).toISOString() }));
    await settle();
    expect(within(dialog()!).getByText("and 41 more")).toBeTruthy();
    const rows = within(within(dialog()!).getByRole("region", { name: "Also open" })).getAllByRole("listitem");
    expect(rows.map(({ textContent }) => textContent)).toEqual(["CriticalLoss limit40 · 3 sessions", "CriticalTime limit1"]);
    expect(screen.getByTestId("critical-banner").textContent).toContain("1 emergency and 41 critical alerts wait");
  });
});

describe("the alert about a stop", () => {
  const stopped = (id: string, requestedBy: string) =>
    alert(id, { type: "emergency_stop", mode: "halt", reason: "Stopped by hand", stopId: `stop-${id}`, requestedBy });

  it("that_was_ordered_here_stays_in_the_banner_and_does_not_ask", async () => {
    const { server, desk } = await stage(<CriticalAlerts />);
    desk.ownStops.ordered("s-17");
    server.publish(stopped("e-1", "alice"));
    await settle();
    expect(dialog()).toBeNull();
    expect(screen.getByTestId("critical-banner").textContent).toContain("1 emergency waits");
    expect(server.unacked).toEqual(["e-1"]);
  });

  it.each([
    ["by a rule", "rule:loss_limit", "s-17"],
    ["on another device", "alice", "s-18"],
  ])("that_was_ordered_%s_asks", async (_, requestedBy, ordered) => {
    const { server, desk } = await stage(<CriticalAlerts />);
    desk.ownStops.ordered(ordered);
    server.publish(stopped("e-1", requestedBy));
    await settle();
    expect(dialog()).toBeTruthy();
  });
});

describe("the table of alerts", () => {
  const rows = () => screen.getAllByTestId("alert").map((row) => row.textContent);

  it("shows_the_newest_first_and_what_is_open_on_demand", async () => {
    const { server } = await stage(<AlertPanel />);
    expect(screen.getByText("All quiet")).toBeTruthy();
    server.publish(alert("a-1", { timestamp: "2026-01-05T14:30:00Z" }));
    server.publish(alert("w-1", { timestamp: "2026-01-05T14:31:00Z", alertLevel: "warning", ack: undefined }));
    await settle();
    expect(rows().map((text) => /\((.*?)\)/.exec(text!)?.[1])).toEqual(["w-1", "a-1"]);
    fireEvent.click(button("Open"));
    await settle();
    expect(rows()).toHaveLength(1);
    fireEvent.click(button("Acknowledge Loss limit"));
    await settle();
    expect(screen.getByText("No open alerts")).toBeTruthy();
    expect(server.unacked).toEqual([]);
  });

  it("changes_nothing_while_what_it_shows_is_stale", async () => {
    const { server } = await stage(<AlertPanel />);
    server.publish(alert("a-1"));
    await settle();
    server.stop();
    await settle();
    for (const name of ["Acknowledge Loss limit", "Mark all read", "Archive all"]) expect(button(name).disabled).toBe(true);
  });

  it("keeps_open_alerts_when_it_is_cleared", async () => {
    const { server } = await stage(<AlertPanel />);
    server.publish(alert("a-1"));
    server.publish(alert("w-1", { alertLevel: "warning", ack: undefined }));
    await settle();
    fireEvent.click(button("Archive all"));
    await settle();
    expect(rows()).toHaveLength(1);
    expect(server.unacked).toEqual(["a-1"]);
  });
});

describe("alerts in words", () => {
  it("puts_the_gravest_first_and_of_these_the_oldest", () => {
    const item = (id: string, level: string, second: number, ack = "open") =>
      ({ id, level, ack, timestamp: `2026-01-05T14:30:0${second}Z`, message: alert(id) }) as never;
    const items = [item("c-2", "critical", 2), item("e-3", "emergency", 3), item("c-1", "critical", 1), item("x", "emergency", 0, "acknowledged")];
    expect(openAlerts(items).map(({ id }) => id)).toEqual(["e-3", "c-1", "c-2"]);
  });

  it("shows_of_an_alarms_tellings_the_newest_open_one", () => {
    const item = (id: string, ack: string | null, fields: object) => ({ id, level: "critical", ack, message: alert(id, fields) }) as never;
    const first = item("a-1", "open", { episodeId: "e" });
    const second = item("a-2", "open", { episodeId: "e", repeat: 1 });
    const third = item("a-3", "acknowledged", { episodeId: "e", repeat: 2 });
    const other = item("b-1", null, {});
    expect(latestTellings([third, other, second, first])).toEqual([other, second]);
    expect(latestTellings([third, { ...(first as object), ack: null } as never])).toEqual([third]);
  });

  it("says_what_crossed_what", () => {
    expect(measureOf(alert("a") as never)).toBe("92.1 % ≥ 90 %");
    expect(measureOf({ ...alert("a"), alertType: "correlation", currentValue: 0.873, threshold: 0.85 } as never)).toBe("0.87 ≥ 0.85");
  });
});
