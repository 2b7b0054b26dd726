PRAGMA user_version = 1;
CREATE TABLE dialogue (
    system TEXT NOT NULL, character TEXT NOT NULL, scenario TEXT NOT NULL, turns TEXT NOT NULL,
    PRIMARY KEY (system, character, scenario)
) WITHOUT ROWID;
INSERT INTO "dialogue" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','[["今天面试又没过，我是不是很差劲？", "才没有呢！我被打趴下过好多次，爬起来就是了。走，先吃肉！"], ["可我吃不下……", "那我陪你坐着。等肚子叫了，我们再出发！"]]');
INSERT INTO "dialogue" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','[["室友总在半夜打游戏，我睡不好。", "直接告诉他啊！伙伴之间没什么不能说的。"], ["我怕吵架。", ""]]');
CREATE TABLE judgment (
    system TEXT NOT NULL, character TEXT NOT NULL, scenario TEXT NOT NULL, metric TEXT NOT NULL,
    key TEXT NOT NULL, status TEXT NOT NULL, reason TEXT, logprobs TEXT, top_is_label INTEGER,
    PRIMARY KEY (system, character, scenario, metric)
) WITHOUT ROWID;
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','behavioral_habit','b8d8a6568bbfac35db23f430efdbf20d2fa3599a730fec693e10fc918a6da825','ok',NULL,'[-4.027012051415491, -0.3203432156566464, -5.593883582582251, -5.271710529221369, -1.7156384411614882]',1);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','character_knowledge','52b65b3d7eb5ba427961cccc8a9a6ea1ccf42baa3cde85e4a8191d37698b43ed','ok',NULL,'[-1.7973480456081556, -1.3627394906689696, -0.7237541411120418, -5.3128956086890415, -4.340403576036678]',1);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','coherency','c3bcfc54adef2c2371cf4f972d11b483dcf71a37c2ac839b2a3e673fcaed034d','ok',NULL,'[-2.236686636897827, -2.424509347201669, -4.744296926969386, -0.9965023364920905, -1.0813541945535496]',1);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','consistency','9dfc5db2321ab0d92e8a77cbe2fcb37f578d3e56781cc4490b2533021fd5a9ac','ok',NULL,'[-2.635479690467616, -2.176858449934718, -1.5376805463780767, -5.980018292209905, -0.5868003788237798]',1);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','demand_matching','4fcda379f6cb92ebfe1d3730331469013e09ad0acdcf0cc710c23a4adce0e2f5','ok',NULL,'[-0.9166859174805609, -8.694245106733758, -1.7420042826416529, -0.8888898601106284, -6.2923281731326774]',1);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','emotional_value','88c6e91dcaf6599f208846b7a2ae1c176d270f6d748c1569b9d5daca74aa5170','ok',NULL,'[-3.007790811356859, -2.732366595256693, -6.354529756366981, -5.220605198319285, -0.16620770405039684]',1);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','experience_sharing','0a6a5f6d6968ea1a42287cefff79bd7dc95fb1f96323d7b30c52fe8660231e5b','ok',NULL,'[-1.2512283534072273, -2.1454151110809394, -0.9482366267887884, -3.4023929887703774, -1.9014541527301534]',1);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','fluency','bf9b87bb27f9d31edf42ca2ec47cae4bf159aca16578f4f3f69909c199863a3f','ok',NULL,'[-8.005513968896965, -3.9882629167353576, -0.2555391901217154, -8.871702834752158, -2.078501815500513]',1);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','speech_style','8402e8c8fc3abd2c6745ba6a8ccebe81978e8e282ad59fc53c2144075a7ead93','ok',NULL,'[null, null, -1.5, -0.5, null]',1);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','behavioral_habit','a6e3a48bf289229fcc464fc5df073535f6776169d783480dfd5be0d45374db12','empty_reply','the reply of round 2 is empty',NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','character_knowledge','d4d7bdf89655168c733a73d264ae91bf68b7bf12d093219bd9d6589ad17b2ea7','empty_reply','the reply of round 2 is empty',NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','coherency','bf60cac08dc9db946f4e24a85cdc3696371ad5420ce2eec7f769689db612c9d5','empty_reply','the reply of round 2 is empty',NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','consistency','64706db09a89beb02432804d866efe0e1ca6b0fc691826f67f9d4d69b4c5e122','empty_reply','the reply of round 2 is empty',NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','demand_matching','4232361aaa2c1c6a6a4be331d16d1ce29f8cc25734aa5be4bd6f764cb3689509','empty_reply','the reply of round 2 is empty',NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','emotional_value','aeacdecf7a0f5237a2ee3007b6d643853ee40b83947d104e1a7bf03ae849fc32','empty_reply','the reply of round 2 is empty',NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','experience_sharing','23b0fa830f54e8a99da8bfe28ba379897dd0e0bccb5eed6a1b3d4f712a651436','empty_reply','the reply of round 2 is empty',NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','fluency','6963f46138b686b87d836252e0da2d83c359c587de1e2d608d7d158bb7aa6165','empty_reply','the reply of round 2 is empty',NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','speech_style','2eeb7ad77b362103a8930d594e17fd4b3ed19c7368b810d8def1dff9f39f7690','empty_reply','the reply of round 2 is empty',NULL,NULL);
