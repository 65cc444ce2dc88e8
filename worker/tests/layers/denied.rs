//! Layer 2: tools denied by name.

use conductor_worker::child::TOOLS;

use crate::attack::{Damage, Field, everything};
use crate::bare::Layers;

fn offered() -> Vec<&'static str> {
    let mut tools = TOOLS.to_vec();
    tools.sort_unstable();
    tools
}

#[tokio::test(flavor = "multi_thread")]
async fn either_list_of_denied_tools_alone_leaves_nothing_that_writes_even_where_all_is_approved() {
    let by_flag = Layers {
        denied_by_flag: true,
        ..Layers::default()
    };
    let by_settings = Layers {
        denied_by_settings: true,
        ..Layers::default()
    };
    for layers in [by_flag, by_settings] {
        let field = Field::new().await;
        let (said, damage) = field.attack(layers);
        assert_eq!(said.mode(), "yolo");
        assert_eq!(said.tools(), offered());
        assert_eq!(damage, Damage::default(), "{said:#?}");
    }
    let field = Field::new().await;
    let (said, damage) = field.attack(Layers::default());
    assert_eq!(damage, everything(), "{said:#?}");
}
