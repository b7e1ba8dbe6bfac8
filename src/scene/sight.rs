// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether anything is seen of a window behind others: pure geometry.

use super::element::Rect;

/// Whether any pixel of `rect` is left when `covers` lie over it.
#[must_use]
pub fn is_seen(rect: Rect, covers: impl IntoIterator<Item = Rect>) -> bool {
    let mut left = vec![rect];
    for cover in covers {
        left = left.into_iter().flat_map(|part| without(part, cover)).collect();
        if left.is_empty() {
            return false;
        }
    }
    left.iter().any(|part| part.width > 0 && part.height > 0)
}

/// What is left of a rectangle beside another one: above, below, and at both sides in between.
fn without(rect: Rect, cover: Rect) -> Vec<Rect> {
    let Some(shared) = rect.intersection(&cover) else { return vec![rect] };
    let parts = [
        Rect { height: shared.y - rect.y, ..rect },
        Rect { y: shared.bottom(), height: rect.bottom() - shared.bottom(), ..rect },
        Rect { y: shared.y, height: shared.height, width: shared.x - rect.x, ..rect },
        Rect { x: shared.right(), y: shared.y, width: rect.right() - shared.right(), height: shared.height },
    ];
    parts.into_iter().filter(|part| part.width > 0 && part.height > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rects() -> impl Strategy<Value = Rect> {
        (0..12_i32, 0..12_i32, 1..8_i32, 1..8_i32).prop_map(|(x, y, width, height)| Rect { x, y, width, height })
    }

    proptest! {
        #[test]
        fn it_is_as_pixels_say(rect in rects(), covers in prop::collection::vec(rects(), 0..8)) {
            let free = |x: i32, y: i32| {
                let pixel = Rect { x, y, width: 1, height: 1 };
                covers.iter().all(|cover| !cover.overlaps(&pixel))
            };
            let pixels = (rect.x..rect.right()).flat_map(|x| (rect.y..rect.bottom()).map(move |y| (x, y)));
            let seen = pixels.into_iter().any(|(x, y)| free(x, y));
            prop_assert_eq!(is_seen(rect, covers.iter().copied()), seen);
        }
    }
}
