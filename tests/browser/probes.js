// What can only be measured inside of a page, for page.evaluate(`${PROBES}.faint(4.5)`). Changes nothing.
({
  /** Every text that is seen and stands out less than `lowest` from the opaque colours behind it. Not what lies on pictures. */
  faint(lowest) {
    const numbers = (color) => (color.match(/[\d.]+/g) || []).map(Number);
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const light = (color) => color.slice(0, 3).reduce((sum, c, n) => sum + linear(c / 255) * [0.2126, 0.7152, 0.0722][n], 0);
    const over = ([r, g, b, a = 1], under) => [r, g, b].map((c, n) => c * a + under[n] * (1 - a));
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const node = texts.currentNode.parentElement;
      const text = texts.currentNode.data.trim();
      if (!text || !node.checkVisibility() || node.closest(".frame, .pic, .sr, .skip, script, noscript")) continue;
      const behind = [];
      for (let at = node; at; at = at.parentElement) behind.unshift(numbers(getComputedStyle(at).backgroundColor));
      const ground = behind.reduce((under, color) => over(color, under), [8, 9, 11]);
      const front = over(numbers(getComputedStyle(node).color), ground);
      const [one, other] = [light(front), light(ground)].sort((a, b) => b - a);
      const ratio = (one + 0.05) / (other + 0.05);
      if (ratio < lowest) found.push(`${text} ${ratio.toFixed(2)}`);
    }
    return found;
  },

  /** [what has the focus, whether that is drawn]; ["", …] where nothing has it. */
  focus() {
    const at = document.activeElement;
    if (at === document.body) return ["", false];
    const places = [getComputedStyle(at), at.nextElementSibling && getComputedStyle(at.nextElementSibling)];
    if (at.id === "seek") places.push(getComputedStyle(document.getElementById("track"), "::after"));
    const drawn = places.some((one) => one && one.outlineStyle !== "none" && parseFloat(one.outlineWidth) >= 2);
    return [at.id || at.dataset.do || at.className || at.name, drawn || (at.matches("textarea") && getComputedStyle(at).boxShadow !== "none")];
  },

  /** Controls that are seen and smaller than a thumb; links and buttons within a line of text are left out. */
  small(least) {
    return [...document.querySelectorAll("button, a, summary, textarea")]
      .filter((node) => node.checkVisibility() && !node.matches(".skip, .big, .text"))
      .filter((node) => Math.min(node.getBoundingClientRect().height, node.getBoundingClientRect().width) < least - 0.01)
      .map((node) => node.id || node.className);
  },
})
