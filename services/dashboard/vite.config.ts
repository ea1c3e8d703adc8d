import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defaultClientConditions, defaultServerConditions, defineConfig } from "vite";

const source = "tapewire-source"; // the SDK's own source, so that a build needs no earlier build

export default defineConfig({
  root: import.meta.dirname + "/web",
  plugins: [react(), tailwindcss()],
  resolve: { conditions: [source, ...defaultClientConditions] },
  ssr: { resolve: { conditions: [source, ...defaultServerConditions] } },
  build: { outDir: "../dist", emptyOutDir: true, target: "es2022" },
});
