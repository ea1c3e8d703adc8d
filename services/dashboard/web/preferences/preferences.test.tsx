import { cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { FakeServer } from "@tapewire/client/testing";
import { WebSocketClient } from "@tapewire/client";
import { TapewireProvider, deskApi } from "@tapewire/client/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { answering, settle } from "../testing.tsx";
import { PreferencesDialog } from "./PreferencesDialog.tsx";

const KEPT = {
  minimumLevels: { risk_alert: "warning", volatility_alert: "warning", system_notification: "info" },
  muted: [],
  quietHours: { enabled: false, start: "22:00:00", end: "07:00:00", timeZone: "UTC" },
  marketDataRate: null,
  emergency: true,
  version: 1,
};
const URL = "http://desk/v1/preferences";

async function open() {
  const server = new FakeServer();
  const client = new WebSocketClient({ url: "ws://edge/ws", getToken: () => "t", WebSocket: server.WebSocket, storage: null });
  const desk = deskApi({ url: "http://desk", getToken: () => "t" });
  const onOpenChange = vi.fn();
  render(
    <TapewireProvider client={client} desk={desk}>
      <PreferencesDialog open onOpenChange={onOpenChange} />
    </TapewireProvider>,
  );
  await settle(80);
  return { server, onOpenChange };
}

const saved = (asked: ReturnType<typeof answering>) => asked.filter(({ key }) => key.startsWith("PATCH")).map(({ body }) => body);

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

describe("preferences", () => {
  it("save_only_what_was_changed", async () => {
    const asked = answering({ [`GET ${URL}`]: KEPT, [`PATCH ${URL}`]: { ...KEPT, version: 2 } });
    const { onOpenChange } = await open();
    fireEvent.change(screen.getByLabelText("Notices"), { target: { value: "critical" } });
    fireEvent.click(screen.getByLabelText("Milestones"));
    fireEvent.change(screen.getByLabelText("Updates of a symbol"), { target: { value: "1" } });
    fireEvent.click(screen.getByRole("button", { name: "Save" }));
    await settle(80);
    expect(saved(asked)).toEqual([
      { minimumLevels: { system_notification: "critical" }, muted: ["performance_milestone"], marketDataRate: 1 },
    ]);
    expect(onOpenChange).toHaveBeenCalledWith(false);
  });

  it("take_quiet_hours_on_the_clock_of_whoever_switches_them_on", async () => {
    const asked = answering({ [`GET ${URL}`]: KEPT, [`PATCH ${URL}`]: { ...KEPT, version: 2 } });
    await open();
    expect(screen.queryByLabelText("From")).toBeNull();
    fireEvent.click(screen.getByLabelText("Keep quiet hours"));
    fireEvent.change(screen.getByLabelText("From"), { target: { value: "21:30" } });
    fireEvent.click(screen.getByRole("button", { name: "Save" }));
    await settle(80);
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
    expect(saved(asked)).toEqual([{ quietHours: { enabled: true, start: "21:30", timeZone } }]);
  });

  it("never_switch_emergencies_off", async () => {
    answering({ [`GET ${URL}`]: KEPT });
    await open();
    const box = screen.getByLabelText<HTMLInputElement>("Emergencies (always on)");
    expect([box.checked, box.disabled]).toEqual([true, true]);
  });

  it("say_why_they_were_not_kept_and_stay_open", async () => {
    answering({ [`GET ${URL}`]: KEPT, [`PATCH ${URL}`]: () => new Response('{"message":"the disk is full"}', { status: 503 }) });
    const { onOpenChange } = await open();
    fireEvent.change(screen.getByLabelText("Notices"), { target: { value: "critical" } });
    fireEvent.click(screen.getByRole("button", { name: "Save" }));
    await settle(80);
    expect(screen.getByText(/Not saved: .*the disk is full/)).toBeTruthy();
    expect(onOpenChange).not.toHaveBeenCalled();
    expect(screen.getByLabelText<HTMLSelectElement>("Notices").value).toBe("critical");
  });

  it("cannot_be_saved_without_a_connection_and_the_look_of_this_device_can_be_set_all_the_same", async () => {
    answering({ [`GET ${URL}`]: KEPT });
    const { server } = await open();
    server.stop();
    await settle();
    fireEvent.change(screen.getByLabelText("Notices"), { target: { value: "critical" } });
    expect(screen.getByRole<HTMLButtonElement>("button", { name: "Save" }).disabled).toBe(true);
    expect(screen.getByText(/nothing can be saved now/)).toBeTruthy();
    fireEvent.click(within(screen.getByRole("group", { name: "Theme" })).getByLabelText("Light"));
    expect(document.documentElement.dataset.theme).toBe("light");
  });

  it("that_cannot_be_loaded_are_asked_for_again_on_demand", async () => {
    answering({});
    await open();
    expect(screen.getByRole("alert").textContent).toContain("could not be loaded");
    answering({ [`GET ${URL}`]: KEPT });
    fireEvent.click(screen.getByRole("button", { name: "Try again" }));
    await settle(80);
    expect(screen.getByLabelText("Notices")).toBeTruthy();
  });
});
