import { cleanup, fireEvent, screen, within } from "@testing-library/react";
import type { Session } from "@tapewire/client/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { CriticalAlerts } from "../alerts/CriticalAlerts.tsx";
import { alert, answering, settle, stage } from "../testing.tsx";
import { StopButton } from "./StopButton.tsx";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const session = (sessionId: string, status: Session["status"] = "active"): Session => ({ sessionId, userId: "alice", status });
const SESSIONS = [session("s-17"), session("s-18"), session("s-9", "completed")];

async function openDialog() {
  fireEvent.click(screen.getByRole("button", { name: "STOP" }));
  await settle();
}

describe("STOP", () => {
  it("orders_each_chosen_running_session_to_stop_over_the_socket", async () => {
    const { server } = await stage(<StopButton sessions={SESSIONS} />);
    await openDialog();
    expect(screen.getAllByRole("checkbox")).toHaveLength(2);
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "Stop 2 sessions" }));
    fireEvent.click(screen.getByRole("checkbox", { name: /s-18/ }));
    fireEvent.click(screen.getByRole("button", { name: "Stop 1 session" }));
    await settle();
    expect(server.connection.sent("command")).toMatchObject([
      { command: "emergency_stop", sessionId: "s-17", userId: "alice", reason: "Stopped by hand" },
    ]);
    expect(screen.getByText("Stop ordered")).toBeTruthy();
  });

  it("is_not_covered_by_the_alert_about_it_and_acknowledges_it_when_done", async () => {
    const { server } = await stage(
      <>
        <StopButton sessions={[session("s-17")]} />
        <CriticalAlerts />
      </>,
    );
    await openDialog();
    fireEvent.click(screen.getByRole("button", { name: "Stop 1 session" }));
    await settle();
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "Done" }));
    server.publish(alert("e-1", { type: "emergency_stop", mode: "halt", reason: "Stopped by hand", requestedBy: "alice" }));
    server.publish(alert("a-1"));
    await settle();
    const shown = screen.getByRole("alertdialog"); // what is new, on top
    expect(within(shown).getByText("Loss limit (a-1)")).toBeTruthy();
    await settle(650);
    fireEvent.click(screen.getByRole("button", { name: "Acknowledge" }));
    await settle(150);
    expect(server.unacked).toEqual(["e-1"]);
    expect(within(screen.getByRole("alertdialog")).getByText("Stop ordered")).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Done" }));
    await settle(150);
    expect(screen.queryByRole("alertdialog")).toBeNull();
    expect(server.unacked).toEqual([]);
  });

  it("goes_over_http_without_a_socket_to_the_next_edge_if_one_does_not_answer", async () => {
    const asked = answering({
      "POST http://edge-1/v1/commands": () => new Response("{}", { status: 503 }),
      "POST http://edge-2/v1/commands": { type: "accepted", idempotencyKey: "k" },
    });
    const { server } = await stage(<StopButton sessions={[session("s-17")]} />);
    server.stop();
    await settle();
    await openDialog();
    fireEvent.click(screen.getByRole("button", { name: "Stop 1 session" }));
    await settle();
    expect(screen.getByText("Stop ordered")).toBeTruthy();
    expect(asked.map(({ key }) => key)).toEqual(["POST http://edge-1/v1/commands", "POST http://edge-2/v1/commands"]);
    const keys = asked.map(({ body }) => (body as { idempotencyKey: string }).idempotencyKey);
    expect(keys[0]).toBeTruthy();
    expect(keys[1]).toBe(keys[0]);
  });

  it("says_why_it_failed_and_tries_again_with_the_same_key", async () => {
    const asked = answering({});
    const { server } = await stage(<StopButton sessions={[session("s-17")]} />);
    server.stop();
    await settle();
    await openDialog();
    fireEvent.click(screen.getByRole("button", { name: "Stop 1 session" }));
    await settle();
    expect(screen.getByText("not found")).toBeTruthy();
    answering({ "POST http://edge-1/v1/commands": { type: "accepted" } });
    fireEvent.click(screen.getByRole("button", { name: "Try again" }));
    await settle();
    expect(screen.getByText("Stop ordered")).toBeTruthy();
    expect(new Set(asked.map(({ body }) => (body as { idempotencyKey: string }).idempotencyKey)).size).toBe(1);
  });

  it("does_not_go_round_a_refusal", async () => {
    const asked = answering({});
    const { server } = await stage(<StopButton sessions={[session("s-17")]} />, { answers: false });
    await openDialog();
    fireEvent.click(screen.getByRole("button", { name: "Stop 1 session" }));
    await settle();
    const id = server.connection.sent("command")[0]?.id;
    server.connection.send({ type: "error", id, code: "forbidden", message: "The token does not allow it.", retryable: false });
    await settle();
    expect(screen.getByText("The token does not allow it.")).toBeTruthy();
    expect(asked).toEqual([]);
  });
});
