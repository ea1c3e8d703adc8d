/** Our few icons; decoration, never the only bearer of a meaning. */

import type { ReactNode } from "react";

function Icon({ children, className = "size-4" }: { children: ReactNode; className?: string | undefined }) {
  return (
    <svg
      viewBox="0 0 16 16"
      aria-hidden="true"
      className={`shrink-0 ${className}`}
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      {children}
    </svg>
  );
}

type Props = { className?: string };

export const Octagon = ({ className }: Props) => (
  <Icon className={className}>
    <path d="M5.3 1.5h5.4l3.8 3.8v5.4l-3.8 3.8H5.3l-3.8-3.8V5.3z" fill="currentColor" fillOpacity=".18" />
    <path d="M8 4.8v3.7M8 11v.1" />
  </Icon>
);
export const StopSign = ({ className }: Props) => (
  <Icon className={className}>
    <path d="M5.3 1.5h5.4l3.8 3.8v5.4l-3.8 3.8H5.3l-3.8-3.8V5.3z" fill="currentColor" />
  </Icon>
);
export const Alert = ({ className }: Props) => (
  <Icon className={className}>
    <circle cx="8" cy="8" r="6.2" />
    <path d="M8 4.8v3.7M8 11v.1" />
  </Icon>
);
export const Triangle = ({ className }: Props) => (
  <Icon className={className}>
    <path d="M8 2 1.8 13h12.4zM8 6.3v3.2M8 11.4v.1" />
  </Icon>
);
export const Info = ({ className }: Props) => (
  <Icon className={className}>
    <circle cx="8" cy="8" r="6.2" />
    <path d="M8 7.5v3.7M8 4.9V5" />
  </Icon>
);
export const Check = ({ className }: Props) => (
  <Icon className={className}>
    <path d="m3 8.5 3.2 3.2L13 4.8" />
  </Icon>
);
export const Gear = ({ className }: Props) => (
  <Icon className={className}>
    <path d="M2 4.5h6M12 4.5h2M2 11.5h2M8 11.5h6" />
    <circle cx="10" cy="4.5" r="1.8" />
    <circle cx="6" cy="11.5" r="1.8" />
  </Icon>
);
export const Logo = ({ className }: Props) => (
  <Icon className={className}>
    <path d="M1.5 10.5h2.8l1.7-5 2.8 7 1.9-4.5h3.8" stroke="var(--link)" />
  </Icon>
);
