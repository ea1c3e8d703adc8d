import { defaultClientConditions, defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

const testTimeout = 20_000; // ms; these tests wait for conditions, and share the machine with others
const source = "tapewire-source"; // the SDK as it stands in libs/client-web/src, not as it was built last

export default defineConfig({
  resolve: { conditions: [source, ...defaultClientConditions] },
  ssr: { resolve: { conditions: [source, ...defaultServerConditions] } },
  test: {
    projects: [
      {
        extends: true,
        test: { name: "sdk", testTimeout, include: ["libs/client-web/test/**/*.test.{ts,tsx}"], environment: "node" },
      },
      {
        extends: "./services/dashboard/vite.config.ts",
        test: {
          name: "dashboard",
          testTimeout,
          include: ["services/dashboard/web/**/*.test.{ts,tsx}"],
          environment: "happy-dom",
        },
      },
    ],
  },
});
