"""How a report looks: light and dark as the reader has it, on a phone, and on paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --faint: #5b6675; --ground: #ffffff; --card: #f5f7fa; --edge:
  #dfe4ec; --good: #017272; --bad: #c9235c; --go: #3451d1; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ecf3; --faint: #a3aebd; --ground: #12161d; --card: #1b212b; --edge: #333d4c; --good: #2bb3a8;
    --bad: #f2648f; --go: #8fa4ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 3rem; max-width: 76rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 .7rem; padding-top: .9rem; border-top: 1px solid var(--edge); overflow-wrap:
  anywhere; }
h3 { font-size: 1.02rem; margin: 1rem 0 .3rem; }
h4 { font-size: .85rem; font-weight: 600; margin: 0; color: var(--faint); }
p { margin: .3rem 0; }
p.lead { color: var(--faint); max-width: 60rem; }
.faint { color: var(--faint); font-size: .9rem; }
.pill { display: inline-block; padding: .1rem .7rem; border: 1.5px solid currentColor; border-radius: 1rem; font-size:
  .9rem; font-weight: 600; color: var(--faint); }
.pill.finished { color: var(--good); }
.pill.failed, .pill.diverged { color: var(--bad); }
.pill.running, .pill.paused { color: var(--go); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .8rem; margin: 1.1rem 0; }
.tile { background: var(--card); border: 1px solid var(--edge); border-radius: .6rem; padding: .75rem .9rem; }
.tile b { font-size: 1.75rem; line-height: 1.35; font-variant-numeric: tabular-nums; }
.tile p { font-size: .82rem; line-height: 1.35; color: var(--faint); }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(15.5rem, 1fr)); gap: .1rem 1.6rem; margin:
  .6rem 0; }
dl.facts div { display: flex; justify-content: space-between; gap: 1rem; border-bottom: 1px solid var(--edge);
  padding: .16rem 0; break-inside: avoid; }
dt { color: var(--faint); }
dd { margin: 0; text-align: right; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.settings { font-size: .88rem; }
.settings .own dt, .settings .own dd { color: var(--ink); font-weight: 700; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(27rem, 100%), 1fr)); gap: 1rem;
  margin-top: .8rem; }
figure { margin: 0; padding: .8rem .9rem; background: var(--card); border: 1px solid var(--edge); border-radius:
  .6rem; break-inside: avoid; display: flex; flex-direction: column; }
figure h3 { margin: 0; }
figure p { font-size: .86rem; line-height: 1.35; color: var(--faint); }
figure > svg { width: 100%; height: auto; display: block; margin-top: auto; }
.legend, .marks { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: .35rem 0; padding: 0;
  font-size: .86rem; }
.legend li { overflow-wrap: anywhere; }
.legend svg, td svg { vertical-align: middle; }
pre { background: var(--card); border: 1px solid var(--edge); border-radius: .5rem; padding: .7rem .9rem; margin:
  .5rem 0; white-space: pre-wrap; overflow-wrap: anywhere; font: .88rem/1.5 ui-monospace, monospace; }
.note { border-left: 4px solid var(--go); padding: .1rem 1rem; margin: 1rem 0; }
.error { border-left: 4px solid var(--bad); padding: .1rem 1rem; margin: 1rem 0; }
.typed { white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; max-width: 100%; }
caption { text-align: left; color: var(--faint); font-size: .86rem; padding-bottom: .4rem; }
.plain th, .plain td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--edge);
  vertical-align: top; overflow-wrap: anywhere; }
.plain .n { text-align: right; white-space: nowrap; overflow-wrap: normal; }
.plain tbody th { font-weight: 500; }
.runs td, .runs th { white-space: nowrap; overflow-wrap: normal; padding-right: 1rem; font-size: .86rem; }
.runs th[scope] { white-space: normal; min-width: 9rem; overflow-wrap: anywhere; }
.runs td.wrap { white-space: normal; min-width: 5rem; overflow-wrap: anywhere; }
.confusion { display: flex; flex-wrap: wrap; gap: 1.4rem 2.4rem; align-items: flex-start; }
.matrix td, .matrix th { min-width: 2.15rem; height: 2.05rem; padding: 0 .3rem; text-align: center; font-weight: 400;
  }
.matrix tbody th { text-align: right; padding-right: .6rem; }
.matrix thead th { vertical-align: bottom; color: var(--faint); }
.matrix tbody th { color: var(--faint); }
.matrix.long thead span { writing-mode: vertical-rl; transform: rotate(180deg); }
.matrix td[style] { border: 1px solid var(--ground); }
.matrix td { color: var(--faint); }
.matrix td[style] { color: var(--ink); }
.matrix .right[style] { background: color-mix(in srgb, var(--good) calc(var(--p) * .55), var(--card)); font-weight:
  700; }
.matrix .wrong[style] { background: color-mix(in srgb, var(--bad) calc(12% + var(--p) * .7), var(--card)); }
.recall .bar { width: 9rem; min-width: 5rem; vertical-align: middle; }
.recall i { display: block; height: .65rem; border-radius: .2rem; background: var(--good); min-width: 1px; }
footer { margin-top: 2.5rem; padding-top: .8rem; border-top: 1px solid var(--edge); color: var(--faint); font-size:
  .85rem; }
@media (max-width: 32rem) {
  .matrix td, .matrix th { min-width: 1.55rem; height: 1.7rem; padding: 0 .1rem; font-size: .8rem; }
}
@media print {
  :root { color-scheme: light; --ink: #1c2430; --faint: #4b5563; --ground: #ffffff; --card: #ffffff; --edge: #cfd6e0;
    --good: #017272; --bad: #c9235c; --go: #3451d1; }
  body { padding: 0; max-width: none; font-size: 10.5pt; -webkit-print-color-adjust: exact; print-color-adjust: exact;
    }
  .charts { grid-template-columns: 1fr 1fr; }
  h2, h3 { break-after: avoid; }
  tr, .tile, pre { break-inside: avoid; }
}
"""
