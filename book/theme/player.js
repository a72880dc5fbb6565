// The player: a recorded run, call by call, and what each call has changed on either side of the wall.
//
// Also two runs side by side, stage by stage, on the clocks that were recorded.
//
// The list of calls is in the page already (book/builder/src/expand/player.rs), and so are their data. A run on the reader's
// own machine (theme/run.js) comes in their place, call by call, by events of the player's element. A picture of what
// is there after a call is the sum of all changes up to it. A new kind of thing is one function in SHAPES, which returns
// its rows; how a row looks is in `drawRow`.

(() => {
    "use strict";
    const words = window.bookWords.player;
    const SVG = "http://www.w3.org/2000/svg";

    // Milliseconds for each call while it plays.
    const PACE = 1600;
    // How long to wait for more of a run that is under way.
    const WAIT = 100;
    // Of the picture, in its own units.
    const WIDTH = 360;
    const ROW = 22;
    const HEAD = 34;
    const GAP = 20;
    const LETTERS = 37;

    const SIDES = ["host", "container"];
    // From above: who it is, what it sees, what it may use. Kinds that stand in no place here come last.
    const ORDER = [
        "process", "program", "privilege", "namespace", "name", "directory", "mount", "group", "file", "link", "address", "route",
        "rule", "table",
    ];

    // --- What is there after so many calls -------------------------------------------------------------------------

    // Two mounts may have one name, so a kind is a list and not a table.
    function apply(state, effect) {
        const things = state[effect.side][effect.kind] ??= [];
        const at = things.findLastIndex((thing) => thing.name === effect.name && effect.old !== null);
        if (effect.new === null) {
            if (at >= 0) things.splice(at, 1);
        } else if (at >= 0) {
            things[at] = { name: effect.name, value: effect.new, changed: true };
        } else {
            things.push({ name: effect.name, value: effect.new, changed: true });
        }
    }

    function after(calls, count) {
        const state = { host: {}, container: {} };
        calls.slice(0, count).forEach((call, n) => {
            if (n === count - 1) {
                for (const side of SIDES) {
                    for (const things of Object.values(state[side])) things.forEach((thing) => (thing.changed = false));
                }
            }
            call.effect.forEach((effect) => apply(state, effect));
        });
        return state;
    }

    // --- How each kind of thing is shown: rows of a label, a value and how deep it stands ---------------------------

    const plain = (things) => things.map(({ name, value, changed }) => ({
        label: name, value: value === name ? "" : value, changed,
    }));
    const last = (path) => path.split("/").pop() || "/";

    // What lies below another thing in the file system stands below it.
    const tree = (things, row) => things
        .slice().sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
        .map((thing, _, all) => {
            const holds = ({ name }) => name !== thing.name && `${thing.name}/`.startsWith(`${name}/`.replace("//", "/"));
            const deep = all.filter(holds).length;
            return { ...row({ ...thing, deep }), changed: thing.changed, deep };
        });

    const SHAPES = {
        // Its PIDs, outermost first.
        process: (things) => things.map(({ value, changed }) => ({
            label: "PID", value: value.split(" ").join(" → "), changed,
        })),
        program: (things) => things.map(({ value, changed }) => ({ label: value, value: "", changed })),
        namespace: (things) => things.map(({ name, value, changed }) => ({
            label: name, value: value.replace(/^.*:/, ""), changed,
        })),
        directory: (things) => things.map(({ name, value, changed }) => ({ label: name, value, changed })),
        mount: (things) => tree(things, ({ name, value, deep }) => ({
            label: deep ? last(name) : name, value: value.split(",")[0],
        })),
        file: (things) => tree(things, ({ name, value }) => ({
            label: last(name), value: value === "directory" ? "" : value,
        })),
        group: (things) => things.map(({ name, value, changed }) => ({ label: name || "cgroup", value, changed })),
        address: (things) => things.map(({ name, changed }) => ({ label: name.replace(/ dev \d+$/, ""), value: "", changed })),
        route: (things) => things.map(({ name, changed }) => ({
            label: name.replace(/ dev \d+ type \d+ table \d+$/, ""), value: "", changed,
        })),
        // They are closed again before the program starts.
        descriptor: () => [],
    };

    // The rows of one side, with a title above each kind.
    function rowsOf(side) {
        const kinds = [...new Set([...ORDER, ...Object.keys(side)])].filter((kind) => side[kind]?.length);
        return kinds.flatMap((kind) => {
            const rows = (SHAPES[kind] ?? plain)(side[kind]);
            return rows.length ? [{ title: words.kinds[kind] ?? kind }, ...rows.map((row) => ({ ...row, kind }))] : [];
        });
    }

    // --- The picture -------------------------------------------------------------------------------------------------

    function draw(name, attributes, text) {
        const made = document.createElementNS(SVG, name);
        for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
        if (text !== undefined) made.textContent = text;
        return made;
    }

    const cut = (text, letters) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);

    function drawRow(row, y) {
        const group = draw("g", { class: row.title ? "title" : row.changed ? "changed" : "row" });
        if (row.title) {
            group.append(draw("text", { x: 14, y: y + 16 }, row.title));
            return group;
        }
        const x = 22 + 14 * (row.deep ?? 0);
        if (row.changed) group.append(draw("rect", { x: 8, y: y + 2, width: WIDTH - 16, height: ROW - 2, rx: 3 }));
        const value = cut(row.value, 25);
        group.append(draw("text", { x, y: y + 17 }, cut(row.label, LETTERS - value.length - 2 * (row.deep ?? 0))));
        if (value) group.append(draw("text", { x: WIDTH - 16, y: y + 17, class: "value" }, value));
        return group;
    }

    function drawSide(name, rows, x, y, height) {
        const group = draw("g", { class: name, transform: `translate(${x} ${y})` });
        group.append(draw("rect", { class: "box", x: 1, y: 1, width: WIDTH - 2, height: height - 2, rx: 6 }));
        group.append(draw("text", { class: "name", x: 14, y: 24 }, words[name]));
        rows.forEach((row, n) => group.append(drawRow(row, HEAD + n * ROW)));
        return group;
    }

    // A cable from one side's end to the other's, once both are there.
    function drawCable(svg, rows, boxes) {
        const ends = SIDES.map((side) => rows[side].findLastIndex((row) => row.kind === "link" && row.value.startsWith("veth")));
        if (ends.includes(-1)) return;
        const [from, to] = SIDES.map((side, n) => ({
            x: boxes[side].x + (boxes.stacked ? WIDTH - 8 : n ? 8 : WIDTH - 8),
            y: boxes[side].y + HEAD + ends[n] * ROW + ROW / 2,
        }));
        const bend = boxes.stacked ? from.x + 12 : (from.x + to.x) / 2;
        svg.append(draw("path", { class: "cable", d: `M${from.x} ${from.y} C${bend} ${from.y} ${bend} ${to.y} ${to.x} ${to.y}` }));
    }

    function picture(state, least, stacked) {
        const rows = Object.fromEntries(SIDES.map((side) => [side, rowsOf(state[side])]));
        const height = Object.fromEntries(SIDES.map((side) => [
            side, HEAD + ROW * Math.max(stacked ? least[side] : Math.max(least.host, least.container), 1) + 10,
        ]));
        const boxes = {
            stacked,
            host: { x: 0, y: 0 },
            container: stacked ? { x: 0, y: height.host + GAP } : { x: WIDTH + 2 * GAP, y: 0 },
        };
        const size = [
            boxes.container.x + WIDTH + (stacked ? 6 : 0),
            boxes.container.y + Math.max(height.container, stacked ? 0 : height.host),
        ];
        const svg = draw("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, "aria-hidden": "true", focusable: "false" });
        for (const side of SIDES) {
            svg.append(drawSide(side, rows[side], boxes[side].x, boxes[side].y, height[side]));
        }
        drawCable(svg, rows, boxes);
        return svg;
    }

    // --- The player around it ----------------------------------------------------------------------------------------

    function element(name, className, text) {
        const made = document.createElement(name);
        if (className) made.className = className;
        if (text) made.textContent = text;
        return made;
    }

    // A sentence, in which `…` is code.
    function sentence(name, className, text) {
        const made = element(name, className);
        text.split("`").forEach((part, n) => made.append(n % 2 ? element("code", "", part) : part));
        return made;
    }

    // In words what the picture marks.
    function said(effect) {
        const what = `${words[effect.side]} · ${words.kinds[effect.kind] ?? effect.kind} · ${effect.name}`;
        if (effect.old === null) return `${what}: + ${effect.new === effect.name ? "" : effect.new}`;
        if (effect.new === null) return `${what}: −`;
        return `${what}: ${effect.old} → ${effect.new}`;
    }

    // What is stepped through, whatever it is: a bar with a mark for each part of it, and a place in it. Who has the parts
    // says how many they are (`length`), what each mark is coloured by (`actors`), and shows a place (`draw`).
    class Player {
        constructor(box) {
            this.box = box;
            this.count = 0;
            this.timer = 0;
            this.items = [...box.querySelectorAll("ol > li")];
        }

        build(...below) {
            const bar = element("div", "controls");
            const button = (text, label, act) => {
                const made = element("button", "", text);
                made.type = "button";
                made.setAttribute("aria-label", label);
                made.addEventListener("click", act);
                bar.append(made);
                return made;
            };
            button("◀", words.back, () => this.go(this.count - 1));
            this.playing = button("▶", words.play, () => (this.timer ? this.stop() : this.play()));
            this.playing.classList.add("play");
            button("▶|", words.forward, () => this.go(this.count + 1));
            this.range = element("input");
            Object.assign(this.range, { type: "range", min: 0, max: this.length, step: 1, value: 0 });
            this.range.setAttribute("aria-label", this.box.getAttribute("aria-label"));
            this.range.addEventListener("input", () => this.go(Number(this.range.value)));
            // mdBook turns the page by these.
            this.box.addEventListener("keydown", (event) => event.key.startsWith("Arrow") && event.stopPropagation());
            const line = element("div", "line");
            this.bar = element("div", "marks");
            this.bar.setAttribute("aria-hidden", "true");
            this.mark();
            line.append(this.bar, this.range);
            bar.append(line);
            this.box.prepend(bar, ...below);
            this.items.forEach((item, n) => item.addEventListener("click", () => this.go(n + 1)));
        }

        mark() {
            this.marks = this.actors.map((actor) => element("span", actor));
            this.bar.replaceChildren(...this.marks);
            this.range.max = this.length;
        }

        go(count) {
            this.stop();
            this.show(count);
            history.replaceState(null, "", `#${this.box.id}-${this.count}`);
        }

        play() {
            if (this.count >= this.length) this.show(0);
            const next = () => {
                if (this.count < this.length) this.show(this.count + 1);
                if (this.count < this.length) this.timer = setTimeout(next, this.pace());
                // What is still to come of a run that is under way.
                else if (this.live) this.timer = setTimeout(next, WAIT);
                else this.stop();
            };
            this.timer = setTimeout(next, 0);
            this.label();
        }

        stop() {
            clearTimeout(this.timer);
            this.timer = 0;
            this.label();
        }

        label() {
            this.playing.textContent = this.timer ? "❚❚" : "▶";
            this.playing.setAttribute("aria-label", this.timer ? words.pause : words.play);
        }

        show(count) {
            this.count = Math.min(Math.max(count, 0), this.length);
            this.range.value = this.count;
            this.range.setAttribute("aria-valuetext", this.draw());
            this.marks.forEach((mark, n) => mark.classList.toggle("done", n < this.count));
            this.items.forEach((item, n) => {
                if (n === this.count - 1) item.setAttribute("aria-current", "step");
                else item.removeAttribute("aria-current");
            });
        }

        place(text) {
            return text.replace("{n}", this.count).replace("{all}", this.length);
        }
    }

    // --- A run's calls -----------------------------------------------------------------------------------------------

    // A run on the reader's own machine says more than one that was recorded for every machine's readers: addresses that
    // the kernel adds by itself, and of a mount all that mountinfo has.
    function tidy(call) {
        const own = ({ kind, name }) => !(["address", "route"].includes(kind) && /table 255|::/.test(name));
        const short = (value) => value?.replace(/^(\S+) .*\) (\w+).*$/, "$1, $2") ?? null;
        const effect = (call.effect ?? []).filter(own).map((effect) => (effect.kind !== "mount" ? effect : {
            ...effect, old: short(effect.old), new: short(effect.new),
        }));
        return { ...call, effect };
    }

    class Calls extends Player {
        constructor(box) {
            super(box);
            this.calls = JSON.parse(box.querySelector("script").textContent);
            this.narrow = matchMedia("(max-width: 700px)");
            this.stage = element("div", "stage");
            this.told = element("div", "told");
            this.told.setAttribute("aria-live", "polite");
            this.measure();
            this.build(this.told, this.stage);
            // Until somebody plays it: what it comes to.
            this.show(this.length);
            this.narrow.addEventListener("change", () => this.show(this.count));
            box.addEventListener("live-begin", () => this.begin());
            box.addEventListener("live-call", ({ detail }) => this.add(tidy(detail)));
            box.addEventListener("live-end", () => (this.live = false));
        }

        get length() {
            return this.calls.length;
        }

        get actors() {
            return this.calls.map((call) => call.actor);
        }

        pace() {
            return this.live ? PACE / 4 : PACE;
        }

        // So that the picture keeps its size while it plays.
        measure(from = 0) {
            if (!from) this.least = { host: 0, container: 0 };
            for (let count = from; count <= this.length; count++) {
                const state = after(this.calls, count);
                for (const side of SIDES) this.least[side] = Math.max(this.least[side], rowsOf(state[side]).length);
            }
        }

        // The reader's own run takes the place of the recorded one, and plays as its calls come.
        begin() {
            this.stop();
            this.live = true;
            this.calls = [];
            this.items = [];
            this.box.querySelector("ol").replaceChildren();
            this.measure();
            this.mark();
            this.show(0);
        }

        add(call) {
            this.calls.push(call);
            const item = element("li", call.actor);
            const line = element("code", "", `${call.name}(${call.args.join(", ")}) = ${call.result}`);
            item.append(line, " ", sentence("span", "why", call.why), " ", element("span", "at", call.source));
            const count = this.length;
            item.addEventListener("click", () => this.go(count));
            this.items.push(item);
            this.box.querySelector("ol").append(item);
            this.measure(count);
            this.mark();
            this.show(this.count);
            if (count === 1) this.play();
        }

        draw() {
            const state = after(this.calls, this.count);
            this.stage.replaceChildren(picture(state, this.least, this.narrow.matches));
            const call = this.calls[this.count - 1];
            const place = call ? this.place(words.place) : words.before;
            this.tell(call, place);
            return call ? `${place}: ${call.name}` : place;
        }

        tell(call, place) {
            this.told.replaceChildren(element("p", "place", place));
            if (!call) return;
            const line = element("p", call.actor);
            line.append(element("code", "", cut(`${call.name}(${call.args.join(", ")}`, 140) + `) = ${call.result}`));
            const changes = element("ul");
            const effects = call.effect.filter((effect) => effect.kind !== "descriptor");
            // The picture has them all.
            const shown = effects.slice(0, 4).map((effect) => element("li", "", said(effect)));
            if (effects.length > 4) shown.push(element("li", "", `… + ${effects.length - 4}`));
            if (!effects.length) shown.push(element("li", "", words.nothing));
            changes.append(...shown);
            this.told.append(line, sentence("p", "why", call.why), element("p", "at", call.source), changes);
        }
    }

    // --- Two clocks --------------------------------------------------------------------------------------------------

    // Who runs against whom, stage by stage, as fast as it was measured. A place is the end of a stage, whoever's.
    class Race extends Player {
        constructor(box) {
            super(box);
            this.runners = JSON.parse(box.querySelector("script").textContent);
            for (const runner of this.runners) {
                let end = 0;
                runner.stages.forEach((stage) => Object.assign(stage, { begin: end, end: end += stage.seconds }));
                runner.end = end;
            }
            const ends = this.runners.flatMap((runner) => runner.stages.map((stage) => ({ runner, stage })));
            this.ends = ends.sort((one, other) => one.stage.end - other.stage.end);
            this.tracks = element("div", "tracks");
            this.said = element("p", "place");
            this.said.setAttribute("aria-live", "polite");
            this.build(this.said, this.tracks);
            this.tracks.append(...this.runners.map((runner) => this.track(runner)));
            this.show(0);
        }

        get length() {
            return this.ends.length;
        }

        get actors() {
            return this.ends.map(({ runner }) => runner.side);
        }

        track(runner) {
            const made = element("div", `track ${runner.side}`);
            runner.clock = element("span", "clock");
            const head = element("p", "head");
            head.append(element("b", "", runner.name), " ", runner.clock);
            runner.now = element("p", "now");
            const bar = element("div", "stages");
            bar.setAttribute("aria-hidden", "true");
            for (const stage of runner.stages) {
                stage.bar = element("span");
                stage.bar.style.flexGrow = stage.seconds / runner.end;
                stage.fill = element("i");
                stage.bar.append(stage.fill);
                bar.append(stage.bar);
            }
            made.append(head, bar, runner.now);
            return made;
        }

        // Real time, but for those who want nothing to move: they get one stage after the other.
        play() {
            if (matchMedia("(prefers-reduced-motion: reduce)").matches) return super.play();
            if (this.count >= this.length) this.show(0);
            const began = performance.now() - 1000 * this.time;
            const next = (now) => {
                const time = Math.max(now - began, 0) / 1000;
                const count = this.ends.filter(({ stage }) => stage.end <= time).length;
                if (count !== this.count) this.show(count);
                if (count >= this.length) return this.stop();
                this.run(time);
                this.timer = requestAnimationFrame(next);
            };
            this.timer = requestAnimationFrame(next);
            this.label();
        }

        stop() {
            cancelAnimationFrame(this.timer);
            super.stop();
        }

        pace() {
            return PACE;
        }

        draw() {
            const last = this.ends[this.count - 1];
            this.run(last?.stage.end ?? 0);
            const place = last ? this.place(words.stage) : words.start;
            const what = last ? `${place}: ${last.runner.name}, ${last.stage.name}, ${last.stage.shown}` : place;
            this.said.textContent = what;
            return what;
        }

        // Where everybody is at this time.
        run(time) {
            this.time = time;
            for (const runner of this.runners) {
                const own = Math.min(time, runner.end);
                const there = own >= runner.end;
                runner.clock.textContent = `${own < 0.1 ? (own * 1000).toFixed(1) : Math.round(own * 1000)} ms${there ? " ✓" : ""}`;
                const at = runner.stages.find((stage) => own < stage.end);
                runner.now.textContent = there ? words.there : at.name;
                for (const stage of runner.stages) {
                    const part = Math.min(Math.max((own - stage.begin) / stage.seconds, 0), 1);
                    stage.fill.style.width = `${100 * part}%`;
                }
            }
        }
    }

    for (const box of document.querySelectorAll(".player")) {
        const player = box.classList.contains("race") ? new Race(box) : new Calls(box);
        // A link to a call: #play-step-3-14
        const openLinked = () => {
            const asked = location.hash.match(/^#([a-z][\w-]+?)-(\d+)$/);
            if (asked?.[1] !== box.id) return;
            player.show(Number(asked[2]));
            box.scrollIntoView();
        };
        openLinked();
        addEventListener("hashchange", openLinked);
    }
})();
