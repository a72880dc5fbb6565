// The player: a recorded run, call by call, and what each call has changed on either side of the wall.
//
// The list of calls is in the page already (book/builder/src/expand/player.rs), and so are their data. A picture of what
// is there after a call is the sum of all changes up to it. A new kind of thing is one function in SHAPES, which returns
// its rows; how a row looks is in `drawRow`.

(() => {
    "use strict";
    const words = window.bookWords.player;
    const SVG = "http://www.w3.org/2000/svg";

    // Milliseconds for each call while it plays.
    const PACE = 1600;
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
        // A tree: what is mounted below a mount stands below it.
        mount: (things) => things
            .map((thing) => ({ ...thing, path: thing.name }))
            .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
            .map(({ path, value, changed }, _, all) => {
                const above = all.filter((other) => other.path !== path && `${path}/`.startsWith(`${other.path}/`.replace("//", "/")));
                const deep = above.length;
                return { label: deep ? last(path) : path, value: value.split(",")[0], changed, deep };
            }),
        // A cgroup's limits stand in files of its directory.
        file: (things) => things.map(({ name, value, changed }) => ({
            label: last(name), value: value === "directory" ? "" : value, changed, deep: value === "directory" ? 0 : 1,
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

    // In words what the picture marks.
    function said(effect) {
        const what = `${words[effect.side]} · ${words.kinds[effect.kind] ?? effect.kind} · ${effect.name}`;
        if (effect.old === null) return `${what}: + ${effect.new === effect.name ? "" : effect.new}`;
        if (effect.new === null) return `${what}: −`;
        return `${what}: ${effect.old} → ${effect.new}`;
    }

    class Player {
        constructor(box) {
            this.box = box;
            this.calls = JSON.parse(box.querySelector("script").textContent);
            this.items = [...box.querySelectorAll("ol > li")];
            this.narrow = matchMedia("(max-width: 700px)");
            // So that the picture keeps its size while it plays.
            this.least = { host: 0, container: 0 };
            for (let count = 0; count <= this.calls.length; count++) {
                const state = after(this.calls, count);
                for (const side of SIDES) this.least[side] = Math.max(this.least[side], rowsOf(state[side]).length);
            }
            this.timer = 0;
            this.build();
            this.show(0);
            this.narrow.addEventListener("change", () => this.show(this.count));
        }

        build() {
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
            Object.assign(this.range, { type: "range", min: 0, max: this.calls.length, step: 1, value: 0 });
            this.range.setAttribute("aria-label", words.title);
            this.range.addEventListener("input", () => this.go(Number(this.range.value)));
            // mdBook turns the page by these.
            this.box.addEventListener("keydown", (event) => event.key.startsWith("Arrow") && event.stopPropagation());
            const line = element("div", "line");
            const marks = element("div", "marks");
            marks.setAttribute("aria-hidden", "true");
            this.marks = this.calls.map((call) => element("span", call.actor));
            marks.append(...this.marks);
            line.append(marks, this.range);
            bar.append(line);
            this.stage = element("div", "stage");
            this.told = element("div", "told");
            this.told.setAttribute("aria-live", "polite");
            this.box.prepend(bar, this.told, this.stage);
            this.items.forEach((item, n) => item.addEventListener("click", () => this.go(n + 1)));
        }

        go(count) {
            this.stop();
            this.show(count);
            history.replaceState(null, "", `#${this.box.id}-${this.count}`);
        }

        play() {
            if (this.count >= this.calls.length) this.show(0);
            const next = () => {
                this.show(this.count + 1);
                if (this.count < this.calls.length) this.timer = setTimeout(next, PACE);
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
            this.count = Math.min(Math.max(count, 0), this.calls.length);
            const state = after(this.calls, this.count);
            this.stage.replaceChildren(picture(state, this.least, this.narrow.matches));
            this.range.value = this.count;
            const call = this.calls[this.count - 1];
            const place = call ? words.place.replace("{n}", this.count).replace("{all}", this.calls.length) : words.before;
            this.range.setAttribute("aria-valuetext", call ? `${place}: ${call.name}` : place);
            this.marks.forEach((mark, n) => mark.classList.toggle("done", n < this.count));
            this.items.forEach((item, n) => {
                if (n === this.count - 1) item.setAttribute("aria-current", "step");
                else item.removeAttribute("aria-current");
            });
            this.tell(call, place);
        }

        tell(call, place) {
            this.told.replaceChildren(element("p", "place", place));
            if (!call) return;
            const line = element("p", call.actor);
            line.append(element("code", "", cut(`${call.name}(${call.args.join(", ")}`, 140) + `) = ${call.result}`));
            const why = element("p", "why");
            call.why.split("`").forEach((part, n) => why.append(n % 2 ? element("code", "", part) : part));
            const changes = element("ul");
            const effects = call.effect.filter((effect) => effect.kind !== "descriptor");
            // The picture has them all.
            const shown = effects.slice(0, 4).map((effect) => element("li", "", said(effect)));
            if (effects.length > 4) shown.push(element("li", "", `… + ${effects.length - 4}`));
            if (!effects.length) shown.push(element("li", "", words.nothing));
            changes.append(...shown);
            this.told.append(line, why, element("p", "at", call.source), changes);
        }
    }

    for (const box of document.querySelectorAll(".player")) {
        const player = new Player(box);
        // A link to a call: #play-step-3-14
        const openLinked = () => {
            const asked = location.hash.match(/^#(play-[\w-]+?)-(\d+)$/);
            if (asked?.[1] !== box.id) return;
            player.show(Number(asked[2]));
            box.scrollIntoView();
        };
        openLinked();
        addEventListener("hashchange", openLinked);
    }
})();
