// Drag and drop of cards with pointer events: mouse, pen and finger alike. A mouse may take a card anywhere; a finger takes
// it by its grip, so that the rest of the card scrolls the page. What a drop means is the pane's business.

const SLACK = 5; // px before a press becomes a drag
const EDGE = 60; // px from the window's edges where it scrolls

/** `dropped(key, status)` when a card is let go over something with `data-drop`, a status. */
export function makeDraggable(root, dropped) {
  root.addEventListener("pointerdown", (down) => {
    const card = down.target.closest(".card");
    const isGrip = down.target.closest(".grip");
    if (!card || down.button || down.target.closest(".editor") || (down.pointerType !== "mouse" && !isGrip)) return;
    if (card.classList.contains("open") && !isGrip) return;
    follow(root, card, down, dropped);
  });
  root.addEventListener("dragstart", (event) => event.preventDefault());
}

function follow(root, card, down, dropped) {
  let ghost = null;
  let over = null;
  const box = card.getBoundingClientRect();
  const listening = new AbortController();
  const options = { signal: listening.signal };

  const start = () => {
    ghost = card.cloneNode(true);
    ghost.classList.add("ghost");
    ghost.classList.remove("touched", "refused");
    ghost.querySelector(".editor")?.remove();
    ghost.style.width = `${box.width}px`;
    ghost.setAttribute("aria-hidden", "true");
    document.body.append(ghost);
    card.classList.add("lifted");
    root.classList.add("dragging");
    getSelection()?.removeAllRanges();
  };
  const hover = (target) => {
    if (over === target) return;
    over?.classList.remove("over");
    over = target;
    over?.classList.add("over");
  };
  const end = () => {
    listening.abort();
    hover(null);
    ghost?.remove();
    card.classList.remove("lifted");
    root.classList.remove("dragging");
  };

  addEventListener("pointermove", (move) => {
    if (move.pointerId !== down.pointerId) return;
    const [x, y] = [move.clientX - down.clientX, move.clientY - down.clientY];
    if (!ghost && Math.hypot(x, y) < SLACK) return;
    if (!ghost) start();
    ghost.style.transform = `translate(${box.left + x}px, ${box.top + y}px) rotate(1.5deg)`;
    const target = document.elementFromPoint(move.clientX, move.clientY)?.closest("[data-drop]");
    hover(target && root.contains(target) ? target : null);
    if (move.clientY < EDGE) scrollBy(0, -12);
    else if (move.clientY > innerHeight - EDGE) scrollBy(0, 12);
  }, options);
  addEventListener("pointerup", (up) => {
    if (up.pointerId !== down.pointerId) return;
    const status = over?.dataset.drop;
    const moved = ghost !== null;
    end();
    if (!moved) return;
    // The click that follows the release is not meant.
    const swallow = (click) => (click.preventDefault(), click.stopPropagation());
    addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => removeEventListener("click", swallow, { capture: true }));
    if (status) dropped(card.dataset.key, status);
  }, options);
  addEventListener("pointercancel", end, options);
  addEventListener("keydown", (event) => event.key === "Escape" && end(), options);
}
