// Whether a window may still change. One rule for every plot, tile and table of the page.
import { absent } from "./format.js";

/// Its end is not reached: the figure is one "so far".
export const RUNNING = "running";
/// It is over, but an event that comes late may still correct it.
export const OPEN = "open";
/// No accepted event can change it.
export const FINAL = "final";

/// What is said beside a number of each state.
export const SAID = { [RUNNING]: " so far", [OPEN]: ", may still be corrected", [FINAL]: "" };
/// What the legend of a plot calls them.
export const KEYS = { [RUNNING]: "still running", [OPEN]: "may still be corrected" };

/// How a family's windows become final: by its watermark, and its lateness (null: unlimited).
export function rule(status, family, now) {
  const of = status?.families.find((one) => one.name === family);
  return { now, lateness: of ? of.lateness_ms : null };
}

/// The state of a window that ends at `to`. `is_final` is what its table says, where the table says so.
export function finality({ now, lateness }, to, is_final = null) {
  if (is_final) return FINAL;
  if (now === null || to > now) return RUNNING;
  if (!absent(is_final) || absent(lateness)) return OPEN;
  return to + lateness <= now ? FINAL : OPEN;
}
