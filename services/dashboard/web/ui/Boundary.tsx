import { Component } from "react";
import type { ReactNode } from "react";
import { Button } from "./Button.tsx";

/** A part that breaks says so and leaves the rest, STOP above all, as it is. */
export class Boundary extends Component<{ name: string; className?: string; children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { name, className = "", children } = this.props;
    const { error } = this.state;
    if (!error) return children;
    return (
      <section role="alert" className={`bg-panel border-critical flex flex-col items-center justify-center gap-2 rounded border p-6 text-center ${className}`}>
        <p className="text-strong font-medium">{`${name} could not be shown`}</p>
        <p className="text-muted text-xs">{error.message}</p>
        <Button size="sm" onClick={() => this.setState({ error: null })}>
          Try again
        </Button>
      </section>
    );
  }
}
